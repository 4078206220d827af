/** A key given on the command line is taken out of what process lists show, as soon as it is read. */

const SECRET_FLAGS = ['--api-key'];

export function hideSecrets(argv: readonly string[] = process.argv): void {
  const shown = withoutSecrets(argv);
  if (shown.some((word, index) => word !== argv[index])) process.title = shown.join(' ');
}

export function withoutSecrets(argv: readonly string[]): string[] {
  return argv.map((word, index) => {
    const [flag, value] = word.split('=', 2);
    if (value !== undefined && SECRET_FLAGS.includes(flag ?? '')) return `${flag}=***`;
    return SECRET_FLAGS.includes(argv[index - 1] ?? '') ? '***' : word;
  });
}
