/** INSTALL.md of a bundle: what a person types on the board. */
import type { Manifest } from './manifest.js';

export function installText({
  platform,
  python,
  machine,
  profile,
  variant,
  recipes,
  files,
  missing,
}: Manifest): string {
  const npm = files.find(({ kind }) => kind === 'npm')?.path ?? '';
  const [model] = files.filter(({ kind }) => kind === 'model').map(({ path }) => path.split('/'));
  // A file in model/ is a GGUF file, a folder there a Hugging Face directory.
  const modelPath = model === undefined ? null : model.slice(0, 2).join('/');
  const options = `--offline --bundle .${variant === 'seed' ? '' : ` --variant ${variant}`}`;
  const commands = [
    `tar -xf ${npm}`,
    'node jsg/bin/jsg.js build native --offline --bundle .',
    ...recipes.map((name) => `node jsg/bin/jsg.js build ${name} ${options}`),
    `node jsg/bin/jsg.js launch --profile ${profile}${modelPath === null ? '' : ` --model-path ${modelPath}`}`,
  ];
  return [
    `# jsg for ${[platform, machine, `Python ${python}`].filter(Boolean).join(', ')}`,
    '',
    'Everything that this board needs, to be installed without a network. `manifest.json` has the sha256 of each file. The',
    'board itself brings JetPack, Node.js 20.18 or newer, python3 with venv, cmake, ninja and a C++20 compiler. In this folder:',
    '',
    '```bash',
    ...commands,
    '```',
    ...(missing.length === 0
      ? []
      : ['', 'Not in it:', ...missing.map(({ what, why }) => `- ${what}: ${why.split('\n')[0]}`)]),
    '',
  ].join('\n');
}
