/** Formats of JSON Schema as regular expressions of whole texts. Those that are not here are notes, as the specification has it. */

const date = (() => {
  const days31 = '(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])';
  const days30 = '(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)';
  const february = '02-(?:0[1-9]|1\\d|2[0-8])';
  // Divisible by 4, and by 400 where by 100.
  const leapYear = '(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)';
  return `(?:\\d{4}-(?:${days31}|${days30}|${february})|${leapYear}-02-29)`;
})();
const offset = '(?:[Zz]|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)';
// A leap second is the last one of a day of UTC.
const time = `(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?${offset}|23:59:60(?:\\.\\d+)?[Zz])`;

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const ipv4 = `(?:${octet}\\.){3}${octet}`;
const ipv6 = (() => {
  const group = '[0-9a-fA-F]{1,4}';
  const last = `(?:${group}:${group}|${ipv4})`;
  const ways = [
    `(?:${group}:){6}${last}`,
    `::(?:${group}:){5}${last}`,
    `(?:${group})?::(?:${group}:){4}${last}`,
    `(?:(?:${group}:){0,1}${group})?::(?:${group}:){3}${last}`,
    `(?:(?:${group}:){0,2}${group})?::(?:${group}:){2}${last}`,
    `(?:(?:${group}:){0,3}${group})?::${group}:${last}`,
    `(?:(?:${group}:){0,4}${group})?::${last}`,
    `(?:(?:${group}:){0,5}${group})?::${group}`,
    `(?:(?:${group}:){0,6}${group})?::`,
  ];
  return ways.map((way) => `(?:${way})`).join('|');
})();

// Labels of more than 63 characters pass: counting them makes the automaton a hundred times as large.
const label = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?';
const hostname = `${label}(?:\\.${label})*`;
const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const email = `${atom}(?:\\.${atom})*@${hostname}`;

const hex = '[0-9A-Fa-f]';
const duration = (() => {
  const clock = 'T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S)';
  const days = '(?:\\d+D|\\d+M(?:\\d+D)?|\\d+Y(?:\\d+M(?:\\d+D)?)?)';
  return `P(?:${days}(?:${clock})?|${clock}|\\d+W)`;
})();

const uri = (() => {
  const encoded = `%${hex}{2}`;
  const plain = "A-Za-z0-9._~!$&'()*+,;=\\-";
  const chars = `(?:[${plain}:@]|${encoded})`;
  const tail = `(?:\\?(?:[${plain}:@/?]|${encoded})*)?(?:#(?:[${plain}:@/?]|${encoded})*)?`;
  const host = `(?:\\[[0-9A-Fa-f:.]+\\]|(?:[${plain}]|${encoded})*)`;
  const authority = `(?:(?:[${plain}:]|${encoded})*@)?${host}(?::\\d*)?`;
  const rooted = `//${authority}(?:/${chars}*)*|/(?:${chars}+(?:/${chars}*)*)?`;
  const scheme = '[A-Za-z][A-Za-z0-9+.-]*';
  const first = `(?:[${plain}@]|${encoded})+`;
  return {
    absolute: `${scheme}:(?:${rooted}|${chars}+(?:/${chars}*)*)?${tail}`,
    reference: `(?:${scheme}:(?:${rooted}|${chars}+(?:/${chars}*)*)?|(?:${rooted}|${first}(?:/${chars}*)*)?)${tail}`,
  };
})();
const pointer = '(?:/(?:[^/~]|~[01])*)*';

export const FORMATS: Readonly<Record<string, string>> = {
  date,
  time,
  'date-time': `${date}[Tt]${time}`,
  duration,
  email,
  hostname,
  ipv4,
  ipv6,
  uuid: `${hex}{8}-${hex}{4}-${hex}{4}-${hex}{4}-${hex}{12}`,
  uri: uri.absolute,
  'uri-reference': uri.reference,
  'json-pointer': pointer,
  'relative-json-pointer': `(?:0|[1-9]\\d*)(?:#|${pointer})`,
};

/** Known to the grammar compiler, though not here. */
const COMPILED = ['uri-template'];

export function isFormat(name: string): boolean {
  return Object.hasOwn(FORMATS, name) || COMPILED.includes(name);
}
