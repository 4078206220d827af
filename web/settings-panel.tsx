/** Beside the conversation: what goes into a request. */
import type { ComponentChildren } from 'preact';
import { faultyField } from './conversation.js';
import {
  change,
  choices,
  DEFAULTS,
  EXAMPLE_SCHEMA,
  type FormatKind,
  PARAMETERS,
  type Parameter,
  parseSchema,
  type Thinking,
} from './params.js';

export function SettingsPanel() {
  const chosen = choices.value;
  const isDefault = JSON.stringify(chosen) === JSON.stringify(DEFAULTS);
  return (
    <form onSubmit={(event) => event.preventDefault()}>
      <section aria-labelledby="parameters-heading">
        <div class="heading">
          <h2 id="parameters-heading">Parameters</h2>
          {!isDefault && (
            <button type="button" class="quiet" onClick={() => change(DEFAULTS)}>
              Reset
            </button>
          )}
        </div>
        <Field label="System prompt" name="system">
          <textarea
            id="field-system"
            rows={3}
            value={chosen.system}
            placeholder="none"
            onInput={({ currentTarget }) => change({ system: currentTarget.value })}
          />
        </Field>
        <div class="grid">{PARAMETERS.filter(({ isMain }) => isMain).map(numberField)}</div>
        <details>
          <summary>More</summary>
          <div class="grid">{PARAMETERS.filter(({ isMain }) => !isMain).map(numberField)}</div>
          <Field label="Stop strings, one a line" name="stop">
            <textarea
              id="field-stop"
              rows={2}
              value={chosen.stop}
              placeholder="none"
              onInput={({ currentTarget }) => change({ stop: currentTarget.value })}
            />
          </Field>
          <Field label="Thinking" name="chat_template_kwargs">
            <select
              id="field-chat_template_kwargs"
              value={chosen.thinking}
              onChange={({ currentTarget }) => change({ thinking: currentTarget.value as Thinking })}
            >
              <option value="">as the model has it</option>
              <option value="on">on</option>
              <option value="off">off</option>
            </select>
          </Field>
        </details>
      </section>
      <FormatFields />
    </form>
  );
}

const isFaulty = (name: string) => faultyField.value === name;

function Field({
  label,
  name,
  help,
  children,
}: {
  label: string;
  name: string;
  help?: string;
  children: ComponentChildren;
}) {
  return (
    <div class={isFaulty(name) ? 'field faulty' : 'field'}>
      <label for={`field-${name}`} title={help}>
        {label}
      </label>
      {children}
    </div>
  );
}

const numberField = (parameter: Parameter) => <NumberField key={parameter.name} {...parameter} />;

function NumberField({ name, label, min, max, step, help }: Parameter) {
  const { numbers } = choices.value;
  return (
    <Field label={label} name={name} help={help}>
      <input
        id={`field-${name}`}
        type="number"
        inputMode="decimal"
        min={min}
        max={max}
        step={step}
        value={numbers[name] ?? ''}
        placeholder="default"
        title={help}
        aria-invalid={isFaulty(name)}
        onInput={({ currentTarget }) => change({ numbers: { ...numbers, [name]: currentTarget.value } })}
      />
    </Field>
  );
}

const FORMATS: [FormatKind, string][] = [
  ['text', 'Text'],
  ['json_object', 'JSON'],
  ['json_schema', 'JSON schema'],
];

function FormatFields() {
  const { format, schema } = choices.value;
  return (
    <section aria-labelledby="format-heading">
      <h2 id="format-heading">Form of the answer</h2>
      <div class="segments" role="radiogroup" aria-labelledby="format-heading">
        {FORMATS.map(([kind, label]) => (
          <label key={kind}>
            <input type="radio" name="format" checked={format === kind} onChange={() => change({ format: kind })} />
            <span>{label}</span>
          </label>
        ))}
      </div>
      {format === 'json_schema' && <SchemaField schema={schema} />}
      {format === 'json_object' && <p class="hint">Say in the prompt that JSON is wanted, and which.</p>}
    </section>
  );
}

function SchemaField({ schema }: { schema: string }) {
  const fault = schemaFault(schema);
  return (
    <Field label="JSON schema" name="response_format">
      <textarea
        id="field-response_format"
        class="mono"
        rows={12}
        spellcheck={false}
        value={schema}
        placeholder='{"type": "object", …}'
        aria-invalid={fault !== null || isFaulty('response_format')}
        aria-describedby="schema-fault"
        onInput={({ currentTarget }) => change({ schema: currentTarget.value })}
      />
      <p id="schema-fault" class={fault === null ? 'hint' : 'hint bad'}>
        {schema.trim() === '' ? 'Every answer will match it. ' : (fault ?? 'Valid JSON. Every answer will match it.')}
        {schema.trim() === '' && (
          <button type="button" class="quiet" onClick={() => change({ schema: EXAMPLE_SCHEMA })}>
            Insert an example
          </button>
        )}
      </p>
    </Field>
  );
}

function schemaFault(schema: string): string | null {
  if (schema.trim() === '') return null;
  try {
    parseSchema(schema);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
