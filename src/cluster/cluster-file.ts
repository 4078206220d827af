/** cluster.yaml: which machines serve a profile, and how they are reached. */
import { z } from 'zod';
import { readYaml } from '../recipe/yaml-file.js';

const text = (what: string) => z.string({ error: what }).min(1, what).max(1024, what);
/** ssh takes what begins with a dash for an option. */
const destination = z
  .string({ error: 'a destination of ssh: orin-1 or user@10.0.0.1' })
  .regex(/^[A-Za-z0-9_][\w.@:[\]-]*$/, 'a destination of ssh: orin-1 or user@10.0.0.1');
const settings = z.record(
  z.string(),
  z.union([z.string(), z.number(), z.boolean()], { error: 'text, a number, true or false' }),
  {
    error: 'flags of jsg launch by name',
  },
);

const host = z.strictObject(
  {
    /** As ssh takes it; the user's own ~/.ssh/config applies. */
    ssh: destination,
    /** How the other machines reach it; without it the name that ssh takes. */
    address: text('a name or an address').optional(),
    /** The command there; words, as a shell reads them. */
    jsg: text('a command').optional(),
    settings: settings.optional(),
  },
  { error: 'a mapping with ssh' },
);

const clusterSchema = z.strictObject(
  {
    profile: text('the name of a profile, or a file'),
    hosts: z.array(host, { error: 'a list of machines' }).min(1, 'at least one machine').max(64, 'at most 64 machines'),
    settings: settings.optional(),
    /** Where the nodes of one model meet, on the first of them. */
    'dist-init-port': z.int({ error: 'a port' }).min(1, 'a port').max(65535, 'a port').optional(),
    /** A file for `ssh -F` instead of ~/.ssh/config. */
    'ssh-config': text('a file').optional(),
  },
  { error: 'a mapping with profile and hosts' },
);

export type ClusterFile = z.infer<typeof clusterSchema>;
export type ClusterHost = ClusterFile['hosts'][number];

/** Throws E_USAGE naming file, key and what is expected. */
export function readClusterFile(path: string): ClusterFile {
  return readYaml(path, () => clusterSchema);
}
