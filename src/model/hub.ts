export async function hubModel(_: unknown): Promise<string> {
  throw new Error('x');
}
