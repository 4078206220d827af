/** What hand-checked fields may be. Only the description of the API is made of these; the checks themselves name each fault. */
import { z } from 'zod';
import { LIMITS } from '../limits.js';

const jsonSchema = z.record(z.string(), z.unknown()).describe('a JSON schema');
const anySchema = z.union([jsonSchema, z.boolean()]);
const tokenIds = z.array(z.int().min(0)).min(1);
const text = z.string();
const textPart = (type: string) => z.object({ type: z.literal(type), text });

/** One prompt, or a list of them. */
export const promptForm = () =>
  z.union([text, z.array(text).min(1).max(LIMITS.prompts), tokenIds, z.array(tokenIds).min(1).max(LIMITS.prompts)]);
export const textsForm = () => z.union([text, z.array(text).max(LIMITS.prompts)]);
export const textForm = () => z.union([text, z.array(text).min(1).max(LIMITS.prompts)]);
export const idsForm = () => z.union([tokenIds, z.array(tokenIds).min(1).max(LIMITS.prompts)]);
export const tokensForm = () => z.union([z.array(z.int().min(0)), z.array(z.array(z.int().min(0)))]);
export const ridForm = () => z.union([text, z.array(text)]);
export const schemaForm = () => z.union([jsonSchema, z.boolean(), text]).describe('a JSON schema, or the text of one');
export const textOnlyForm = () => z.string();
export const tagForm = () => z.union([z.record(z.string(), z.unknown()), text]).describe('a structural tag');

const namedSchema = { name: text.nullish(), schema: anySchema, strict: z.boolean().nullish() };

export const responseFormatForm = () =>
  z.union([
    z.object({ type: z.enum(['text', 'json_object']) }),
    z.object({ type: z.literal('json_schema'), json_schema: z.object(namedSchema) }),
    z.looseObject({ type: z.literal('structural_tag') }),
  ]);

const described = {
  name: text.regex(/^[\w.-]{1,128}$/),
  description: text.nullish(),
  strict: z.boolean().nullish(),
};

export const chatToolsForm = () =>
  z
    .array(
      z.object({
        type: z.literal('function'),
        function: z.object({ ...described, parameters: jsonSchema.nullish() }),
      }),
    )
    .max(LIMITS.tools);

export const chatToolChoiceForm = () =>
  z.union([
    z.enum(['auto', 'none', 'required']),
    z.object({ type: z.literal('function'), function: z.object({ name: text }) }),
  ]);

const toolCall = z.object({
  id: text.nullish(),
  type: z.literal('function').nullish(),
  function: z.object({ name: text, arguments: text.nullish() }),
});

export const messagesForm = () => {
  const refusal = z.object({ type: z.literal('refusal'), refusal: text });
  const content = z.union([text, z.array(z.union([textPart('text'), refusal])).max(LIMITS.contentParts)]);
  const name = text.nullish();
  return z
    .array(
      z.union([
        z.object({ role: z.enum(['system', 'developer', 'user']), content, name }),
        z.object({
          role: z.literal('assistant'),
          name,
          content: content.nullish(),
          reasoning_content: text.nullish(),
          tool_calls: z.array(toolCall).max(LIMITS.toolCalls).nullish(),
        }),
        z.object({ role: z.literal('tool'), content, tool_call_id: text.nullish(), name }),
      ]),
    )
    .min(1)
    .max(LIMITS.messages);
};

export const responseInputForm = () => {
  const parts = z.array(z.union([textPart('input_text'), textPart('output_text'), textPart('text')]));
  const content = z.union([text, parts]);
  const thoughtPart = z.union([textPart('reasoning_text'), textPart('summary_text'), textPart('text')]);
  const thoughts = z.union([text, z.array(thoughtPart)]);
  const items = z.union([
    z.object({
      type: z.literal('message').nullish(),
      role: z.enum(['user', 'assistant', 'system', 'developer']),
      content,
    }),
    z.object({ type: z.literal('function_call'), call_id: text, name: text, arguments: text }),
    z.object({ type: z.literal('function_call_output'), call_id: text, output: content }),
    z.object({
      type: z.literal('reasoning'),
      summary: thoughts.nullish(),
      content: thoughts.nullish(),
    }),
  ]);
  return z.union([text, z.array(items).min(1).max(LIMITS.messages)]);
};

export const responseTextForm = () =>
  z.object({
    format: z
      .union([
        z.object({ type: z.enum(['text', 'json_object']) }),
        z.object({ type: z.literal('json_schema'), ...namedSchema }),
      ])
      .nullish(),
  });

export const responseToolsForm = () =>
  z.array(z.object({ type: z.literal('function'), ...described, parameters: jsonSchema.nullish() })).max(LIMITS.tools);

export const responseToolChoiceForm = () =>
  z.union([z.enum(['auto', 'none', 'required']), z.object({ type: z.literal('function'), name: text })]);

const textBlocks = z.union([text, z.array(textPart('text'))]);

export const systemForm = () => textBlocks;

export const anthropicMessagesForm = () => {
  const result = z.object({
    type: z.literal('tool_result'),
    tool_use_id: text,
    content: textBlocks.nullish(),
    is_error: z.boolean().nullish(),
  });
  const call = z.object({
    type: z.literal('tool_use'),
    id: text,
    name: text,
    input: z.record(z.string(), z.unknown()),
  });
  const thinking = z.object({ type: z.literal('thinking'), thinking: text, signature: text.nullish() });
  const hidden = z.object({ type: z.literal('redacted_thinking') });
  const ofUser = z.union([text, z.array(z.union([textPart('text'), result])).min(1)]);
  const ofAssistant = z.union([text, z.array(z.union([textPart('text'), call, thinking, hidden])).min(1)]);
  return z
    .array(
      z.union([
        z.object({ role: z.literal('user'), content: ofUser }),
        z.object({ role: z.literal('assistant'), content: ofAssistant }),
      ]),
    )
    .min(1)
    .max(LIMITS.messages);
};

export const anthropicToolsForm = () =>
  z.array(z.object({ type: z.literal('custom').nullish(), ...described, input_schema: jsonSchema })).max(LIMITS.tools);

export const anthropicToolChoiceForm = () =>
  z.union([
    z.object({ type: z.enum(['auto', 'any', 'none']), disable_parallel_tool_use: z.boolean().nullish() }),
    z.object({ type: z.literal('tool'), name: text, disable_parallel_tool_use: z.boolean().nullish() }),
  ]);

export const outputFormatForm = () => z.object({ type: z.literal('json_schema'), schema: jsonSchema });
