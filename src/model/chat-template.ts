/** Messages to the prompt a model was trained on, by the Jinja template that comes with the model. */
import { JsgError } from '../errors.js';
import { type JinjaNode, parse, tokenize } from './hf-jinja.js';
import { BoundedInterpreter, TemplateLimitError, TemplateRaisedError, templateEnvironment } from './jinja-limits.js';
import type { ChatMessage, ChatTemplate } from './model.js';
import { modelInvalid } from './model-error.js';

/** 20 times the longest template known. */
const MAX_TEMPLATE = 1 << 20;

/** The template of models that have the tokens of ChatML and say nothing else. */
export const CHATML_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

export interface TemplateSources {
  /** The template, or one for requests without tools and one for those with. */
  template: string;
  toolTemplate?: string;
  /** `bos_token`, `eos_token` and the like, as templates name them. */
  tokens: Record<string, string>;
  /** Where the template is from, for errors. */
  source: string;
}

interface RenderOptions {
  addGenerationPrompt?: boolean;
  tools?: readonly unknown[];
  kwargs?: Record<string, unknown>;
}

export class JinjaChatTemplate implements ChatTemplate {
  readonly text: string;
  private readonly program: JinjaNode;
  private readonly toolProgram: JinjaNode;
  private readonly tokens: Record<string, string>;

  /** Throws E_MODEL_INVALID where the template doesn't parse. */
  constructor({ template, toolTemplate, tokens, source }: TemplateSources) {
    this.text = toolTemplate ?? template;
    this.program = compile(template, source);
    this.toolProgram = toolTemplate === undefined ? this.program : compile(toolTemplate, source);
    this.tokens = tokens;
  }

  render(messages: readonly ChatMessage[], options: RenderOptions = {}): string {
    const { addGenerationPrompt = true, tools, kwargs } = options;
    const hasTools = tools !== undefined && tools.length > 0;
    const variables = {
      ...this.tokens,
      ...kwargs,
      messages,
      add_generation_prompt: addGenerationPrompt,
      // Templates ask `tools is not none` as often as `tools is defined`: null answers both as Python's None does.
      tools: hasTools ? tools : null,
      documents: null,
    };
    try {
      const interpreter = new BoundedInterpreter(templateEnvironment(variables));
      return String(interpreter.run(hasTools ? this.toolProgram : this.program).value);
    } catch (error) {
      throw renderError(error);
    }
  }
}

function compile(template: string, source: string): JinjaNode {
  if (template.length > MAX_TEMPLATE) throw modelInvalid(source, `chat template of ${template.length} characters`);
  try {
    return parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
  } catch (error) {
    throw modelInvalid(source, `chat template doesn't parse: ${firstLine(error)}`, 'give another by --chat-template');
  }
}

function renderError(error: unknown): JsgError {
  if (error instanceof TemplateRaisedError) {
    return new JsgError('E_INVALID_REQUEST', firstLine(error), { param: 'messages', cause: error });
  }
  const isLimit = error instanceof TemplateLimitError;
  const problem = isLimit ? `${firstLine(error)}, which no chat template may` : `fails: ${firstLine(error)}`;
  return new JsgError('E_INVALID_REQUEST', `the model's chat template ${problem}`, { param: 'messages', cause: error });
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0]?.slice(0, 300) ?? '';
}
