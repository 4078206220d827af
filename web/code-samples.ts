/** The request of this page as curl, Python and JavaScript. Pure. */

export interface Sample {
  name: string;
  /** What runs it. */
  needs: string;
  code: string;
}

export interface SampleOptions {
  /** `http://127.0.0.1:30000` */
  base: string;
  model: string;
  /** The server asks for a key; none is ever written down here. */
  needsKey: boolean;
  messages: readonly { role: string; content: string }[];
  /** The rest of the body. */
  fields: Record<string, unknown>;
}

const KEY = 'YOUR_API_KEY';

/** What the openai packages know; what SGLang has besides goes into `extra_body`. */
const OPENAI_FIELDS = [
  'temperature',
  'top_p',
  'max_tokens',
  'seed',
  'stop',
  'frequency_penalty',
  'presence_penalty',
  'response_format',
];

export function codeSamples(options: SampleOptions): Sample[] {
  return [
    { name: 'curl', needs: 'in a shell', code: curl(options) },
    { name: 'Python', needs: 'after pip install openai', code: python(options) },
    { name: 'JavaScript', needs: 'as a file ask.mjs of Node.js', code: javascript(options) },
  ];
}

const bodyOf = ({ model, messages, fields }: SampleOptions) => ({ model, messages, ...fields });

function curl(options: SampleOptions): string {
  const key = options.needsKey ? ` \\\n  -H 'Authorization: Bearer ${KEY}'` : '';
  // In a shell's single quotes only the single quote itself is special.
  const body = JSON.stringify(bodyOf(options), null, 2).replaceAll("'", "'\\''");
  return `curl ${options.base}/v1/chat/completions \\\n  -H 'Content-Type: application/json'${key} \\\n  -d '${body}'`;
}

function python({ base, needsKey, model, messages, fields }: SampleOptions): string {
  const known = Object.entries(fields).filter(([name]) => OPENAI_FIELDS.includes(name));
  const others = Object.fromEntries(Object.entries(fields).filter(([name]) => !OPENAI_FIELDS.includes(name)));
  const extra: [string, unknown][] = Object.keys(others).length > 0 ? [['extra_body', others]] : [];
  const args = [['model', model], ['messages', messages], ...known, ...extra] as [string, unknown][];
  return [
    'from openai import OpenAI',
    '',
    `client = OpenAI(base_url=${pythonLiteral(`${base}/v1`)}, api_key=${pythonLiteral(needsKey ? KEY : 'none')})`,
    'answer = client.chat.completions.create(',
    ...args.map(([name, value]) => `    ${name}=${pythonLiteral(value, 1)},`),
    ')',
    'print(answer.choices[0].message.content)',
  ].join('\n');
}

/** JSON as Python writes it. Its strings are those of JSON. */
function pythonLiteral(value: unknown, depth = 0): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value !== 'object') return JSON.stringify(value);
  const parts = Array.isArray(value)
    ? value.map((each) => pythonLiteral(each, depth + 1))
    : Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${pythonLiteral(each, depth + 1)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  const line = `${open}${parts.join(', ')}${close}`;
  if (line.length + depth * 4 <= 88 && !line.includes('\n')) return line;
  const indent = '    '.repeat(depth + 1);
  return `${open}\n${parts.map((part) => `${indent}${part},\n`).join('')}${'    '.repeat(depth)}${close}`;
}

function javascript(options: SampleOptions): string {
  const body = JSON.stringify(bodyOf(options), null, 2).replaceAll('\n', '\n  ');
  const key = options.needsKey ? `, Authorization: "Bearer ${KEY}"` : '';
  return [
    `const response = await fetch(${JSON.stringify(`${options.base}/v1/chat/completions`)}, {`,
    '  method: "POST",',
    `  headers: { "Content-Type": "application/json"${key} },`,
    `  body: JSON.stringify(${body}),`,
    '});',
    'const answer = await response.json();',
    'console.log(answer.choices[0].message.content);',
  ].join('\n');
}
