// Holds what a host gives against what the manifest asks for.
import type { ConfigurationSchema } from '../gen/baton/plugin/v1/ConfigurationSchema.js';
import type { ConfigureRequest__Output } from '../gen/baton/plugin/v1/ConfigureRequest.js';
import type { Diagnostic } from '../gen/baton/plugin/v1/Diagnostic.js';
import type { Field } from '../gen/baton/plugin/v1/Field.js';
import type { Rules } from '../gen/baton/plugin/v1/Rules.js';
import type { Value, Value__Output } from '../gen/baton/plugin/v1/Value.js';

// Configuration is the values by field name, with the defaults filled in.
export class Configuration {
  constructor(private readonly values: ReadonlyMap<string, unknown>) {}

  string(name: string): string {
    return String(this.values.get(name) ?? '');
  }

  int(name: string): number {
    return Number(this.values.get(name) ?? 0);
  }

  bool(name: string): boolean {
    return this.values.get(name) === true;
  }
}

// ConfigurationError is all that there is to say against a configuration. The value
// of a secret field must not be in it.
export class ConfigurationError extends Error {
  constructor(readonly diagnostics: Diagnostic[]) {
    super(diagnostics.map(({ field, summary }) => `${field}: ${summary}`).join('; '));
  }
}

export function finding(field: string, summary: string): Diagnostic {
  return { severity: 'SEVERITY_ERROR', field, summary };
}

// The kinds and the rules that this file knows. A schema that uses others must
// not be served as if they had been checked.
const kinds: Record<string, { kind: Value__Output['kind']; wanted: string }> = {
  FIELD_TYPE_STRING: { kind: 'string_value', wanted: 'a string' },
  FIELD_TYPE_INT: { kind: 'int_value', wanted: 'a whole number' },
  FIELD_TYPE_BOOL: { kind: 'bool_value', wanted: 'true or false' },
};
const rules = new Set(['format', 'min_length', 'max_length', 'minimum', 'maximum']);

// assertKnown throws if the schema asks for something that nobody would check.
export function assertKnown(schema: ConfigurationSchema): void {
  if (schema.relations?.length || schema.field_groups?.length) {
    throw new Error('relations and field groups are not implemented');
  }
  for (const field of schema.fields ?? []) {
    const unknown = Object.keys(field.rules ?? {}).filter((rule) => !rules.has(rule));
    if (!kinds[String(field.type)] || unknown.length) {
      throw new Error(`field ${field.name}: type or rules (${unknown.join()}) not implemented`);
    }
  }
}

// read returns the configuration, or throws a ConfigurationError with all that is
// wrong with it, in the order of the schema's fields.
export function read(
  schema: ConfigurationSchema,
  request: Pick<ConfigureRequest__Output, 'values' | 'secrets'>,
): Configuration {
  const fields = schema.fields ?? [];
  const values = new Map<string, unknown>();
  const findings: Diagnostic[] = [];
  for (const field of fields) {
    const name = field.name ?? '';
    const [given, misplaced] = field.secret
      ? [request.secrets[name], request.values[name]]
      : [request.values[name], request.secrets[name]];
    if (misplaced) {
      const not = field.secret ? '' : 'not ';
      findings.push(
        finding(name, `the field is ${not}secret: its value must ${not}travel among the secrets`),
      );
      continue;
    }
    const problem = readField(field, given, values);
    if (problem) findings.push(finding(name, problem));
  }
  const known = new Set(fields.map((field) => field.name));
  for (const name of [...Object.keys(request.values), ...Object.keys(request.secrets)].sort()) {
    if (!known.has(name)) findings.push(finding(name, 'there is no such field'));
  }
  if (findings.length) throw new ConfigurationError(findings);
  return new Configuration(values);
}

// readField puts the field's value into values, or says what is wrong with it.
function readField(
  field: Field,
  given: Value__Output | undefined,
  values: Map<string, unknown>,
): string {
  const type = kinds[String(field.type)];
  if (given?.kind && given.kind !== type?.kind) return `the value must be ${type?.wanted}`;
  const value = plain(given ?? {}) ?? plain(field.default_value ?? {});
  if (value === undefined || value === '') return field.required ? 'a value is required' : '';
  const problem = breaks(field.rules ?? {}, value);
  if (problem && field.secret) return 'the value does not have the form that this field takes';
  if (!problem) values.set(field.name ?? '', value);
  return problem;
}

function plain(value: Value): string | number | boolean | undefined {
  if (value.int_value !== undefined) return Number(value.int_value);
  return value.string_value ?? value.bool_value;
}

// breaks says which rule the value breaks, '' if none.
function breaks(rules: Rules, value: string | number | boolean): string {
  if (typeof value === 'string') {
    const length = Buffer.byteLength(value);
    if (length < Number(rules.min_length ?? 0))
      return `the value must have at least ${rules.min_length} bytes`;
    if (length > Number(rules.max_length ?? Infinity))
      return `the value must have at most ${rules.max_length} bytes`;
    if (rules.format === 'STRING_FORMAT_URI' && !URL.canParse(value))
      return 'the value must be a URL';
  }
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) return 'the value is too large';
    if (value < Number(rules.minimum ?? -Infinity))
      return `the value must be at least ${rules.minimum}`;
    if (value > Number(rules.maximum ?? Infinity))
      return `the value must be at most ${rules.maximum}`;
  }
  return '';
}
