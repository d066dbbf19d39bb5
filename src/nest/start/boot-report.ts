/**
 * The report at the start of an application: one line with its entity types and their handlers, and warnings about names that look
 * forgotten or mistyped. It throws nothing, since each of them may be intended.
 *
 * Owns the texts and their bounds. Neighbours: `command-classes.ts` knows the decorated classes; `core/pod/host-lookup.ts` warns when
 * a job of a type without a live pod is enqueued.
 */

import type { HandlerTable } from '../../core/handlers/handler-table.js';
import { closest } from '../../core/model/did-you-mean.js';
import { asLine, quoted } from '../../core/model/error-text.js';
import type { EngineConfig } from '../../core/options/config.js';
import type { Log } from '../../core/ports/log.js';
import { commandClasses } from '../decorators/command-classes.js';
import { type Class, getMetadata, getOwnMetadata, jobNameOf } from '../decorators/metadata.js';

export interface BootReportParts {
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  /** The entity types that the module's options name. */
  readonly configuredTypes: readonly string[];
  readonly log: Log;
}

/** Bounds of a list within a line, and of a name within a list. A log line has 2,048 characters. */
const MAX_LISTED = 20;
const MAX_LIST_LENGTH = 1000;
const MAX_NAMES_LENGTH = 400;
const MAX_NAME_LENGTH = 64;

/** Logs the report, once. */
export function reportAtStart(parts: BootReportParts, classes: readonly Class[] = commandClasses()): void {
  const { config, handlers, configuredTypes, log } = parts;
  const ofClasses = classes.flatMap(target => typeOf(target) ?? []);
  const namedTypes = new Set([...handlers.hostedTypes().filter(type => isNamed(handlers, type)), ...ofClasses]);
  log.info(entitiesLine(parts, [...new Set([...namedTypes, ...configuredTypes])]));
  const warnings = [
    config.producerOnly ? undefined : unhandledClasses(handlers, classes),
    unusedTypes(parts, namedTypes),
    minifiedNames(classes),
  ];
  for (const warning of warnings) if (warning !== undefined) log.warn(warning);
}

function entitiesLine({ config, handlers }: BootReportParts, types: readonly string[]): string {
  if (types.length === 0) return 'Entities: none; no handler, @QueueEntity class or option names an entity type.';
  if (config.producerOnly) return `Entities: ${listed(types.map(word))}; all enqueue only (producerOnly).`;
  const handled = types.map(type => `${word(type)}: ${handlersOf(handlers, type)}`);
  return `Entities: ${listed(handled, '; ')}`;
}

function handlersOf(handlers: HandlerTable, type: string): string {
  if (!handlers.hosts(type)) return 'none, enqueue only';
  const names = handlers.namesOf(type);
  return names.length === 0 ? 'no handler' : listed(names.map(word), ', ', MAX_NAMES_LENGTH);
}

/** Classes whose jobs no handler of this pod runs. A base class is left out if a class that extends it has a handler. */
function unhandledClasses(handlers: HandlerTable, classes: readonly Class[]): string | undefined {
  const isHandled = (target: Class) => {
    const name = jobNameOf(target);
    const types = [typeOf(target) ?? handlers.hostedTypes()].flat();
    return (
      handlers.commandClass(name) === target ||
      types.some(type => handlers.hosts(type) && handlers.knows({ type, id: '' }, name))
    );
  };
  const handled = classes.filter(isHandled);
  const isBase = (target: Class) => handled.some(other => other.prototype instanceof target);
  const unhandled = classes.filter(target => !handled.includes(target) && !isBase(target));
  if (unhandled.length === 0) return undefined;
  return (
    `No handler on this pod for ${listed(unhandled.map(described))}. Jobs of these classes wait for a pod that has one; ` +
    'if this pod works their entity type, they hold up their entity, and fail after unknownJobGraceMs. Add a handler for each (@CommandHandler, @QueryHandler or @JobHandler) ' +
    'to the providers, or set producerOnly: true if this application only enqueues. If another service runs them, ignore this warning.'
  );
}

/** Commands without a type belong to every type in the options, so they name none. */
function isNamed(handlers: HandlerTable, type: string): boolean {
  const names = handlers.namesOf(type);
  const ofAnyType = names.filter(name => {
    const target = handlers.commandClass(name) as Class | undefined;
    return target !== undefined && typeOf(target) === undefined;
  });
  return names.length === 0 || ofAnyType.length < names.length;
}

function unusedTypes(
  { config, handlers, configuredTypes }: BootReportParts,
  namedTypes: ReadonlySet<string>,
): string | undefined {
  const unused = configuredTypes.flatMap(type => {
    if (namedTypes.has(type)) return [];
    const meant = closest(type, namedTypes);
    // A producer may enqueue by name, and a pod with a handler for any type may run jobs of this one.
    if (meant === undefined && (config.producerOnly || handlers.hosts(type))) return [];
    return [meant === undefined ? quoted(type) : `${quoted(type)} (did you mean ${quoted(meant)}?)`];
  });
  if (unused.length === 0) return undefined;
  return (
    `The option entities names types that no handler and no @QueueEntity class of this application names: ${listed(unused)}. ` +
    'Their options apply only to jobs that are enqueued by the name of their type.'
  );
}

/** Class names of minifiers: `e`, `po`, `a1`, `cBe`, or none at all. `Pay` is a word. */
const MINIFIED = /^(?:\(no name\)|[\w$]{1,2}|(?![A-Z][a-z]{2}$)[\w$]{3})$/;

/** Classes whose jobs would be stored under a name chosen by a bundler. */
function minifiedNames(classes: readonly Class[]): string | undefined {
  const minified = classes.filter(
    target => getOwnMetadata(target, 'jobName') === undefined && MINIFIED.test(nameOf(target)),
  );
  if (minified.length === 0) return undefined;
  return (
    `Names of command classes look minified: ${listed(minified.map(described))}. Jobs are stored under these names. After the next build ` +
    'another class may have the name. Waiting jobs then fail, or run the handler of that class. Give each class a fixed name, ' +
    "as in @QueueEntity('account', { name: 'WithdrawCommand' }), or let the bundler keep class names (esbuild: keepNames, terser: keep_classnames)."
  );
}

function typeOf(target: Class): string | undefined {
  return getMetadata(target, 'entityType');
}

function described(target: Class): string {
  const type = typeOf(target);
  return `${word(nameOf(target))}${type === undefined ? '' : ` (${word(type)})`}`;
}

function nameOf({ name }: Class): string {
  return typeof name === 'string' && name !== '' ? name : '(no name)';
}

function word(name: string): string {
  return asLine(name, MAX_NAME_LENGTH);
}

/** As many texts as fit, and the number of the others. */
function listed(texts: readonly string[], separator = ', ', maxLength = MAX_LIST_LENGTH): string {
  let length = 0;
  const fitting = texts.slice(0, MAX_LISTED).filter(text => {
    length += text.length + separator.length;
    return length <= maxLength;
  });
  const rest = texts.length - fitting.length;
  return [...fitting, ...(rest > 0 ? [`and ${rest} more`] : [])].join(separator);
}
