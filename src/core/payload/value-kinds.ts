/**
 * Which kinds of objects JSON would empty, and what to enqueue instead. Owns the lists.
 * Neighbour: `json-values.ts` walks a value and asks for each object.
 */

/** Tags of objects whose content is not in their properties, even if an instance or a subclass adds some. */
export const ELSEWHERE = new Set([
  ...['Error', 'RegExp', 'Map', 'Set', 'WeakMap', 'WeakSet', 'WeakRef', 'Promise', 'ArrayBuffer', 'SharedArrayBuffer'],
  ...['BigInt', 'Symbol', 'Headers', 'FormData', 'Blob', 'File', 'URLSearchParams'],
]);

export const REMEDIES = new Map([
  ['Map', ': use [...map]'],
  ['Set', ': use [...set]'],
]);

/** A whole value that is a list of undefined usually comes from `return Promise.all(items.map(save))`. */
export function noItem(depth: number): string {
  const remedy = depth === 0 ? 'use null, or await Promise.all() without returning what it gives' : 'use null';
  return `is undefined (or a hole): ${remedy}`;
}

/** By the shape that `isObservable` of rxjs checks: there may be several copies of rxjs. A user's class may have `subscribe` alone. */
export function isObservable(value: object): boolean {
  const { subscribe, lift } = value as { subscribe?: unknown; lift?: unknown };
  return typeof subscribe === 'function' && typeof lift === 'function';
}

/** Boxed primitives. Each function throws for an object that only has the tag. */
export const BOXES = new Map<string, (this: unknown) => unknown>([
  ['Number', Number.prototype.valueOf as () => unknown],
  ['String', String.prototype.valueOf as () => unknown],
  ['Boolean', Boolean.prototype.valueOf as () => unknown],
]);

/** An object without a class. */
export function isPlain(value: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(value);
  return prototype === null || isRoot(prototype);
}

/** `Object.prototype`, of any realm. */
function isRoot(prototype: object): boolean {
  if (prototype === Object.prototype) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');
}

/** Longest prototype chain that is followed; a proxy may have an endless one. */
const MAX_CLASSES = 100;

/**
 * An instance without properties of its own, whose class has methods or accessors: its content is private, as in `Headers`, a
 * generator or a class with `#fields`. An instance of a class without members (`class Ping {}`) is complete.
 */
export function isEmptied(value: object): boolean {
  if (Object.keys(value).length > 0) return false;
  let at: object | null = Object.getPrototypeOf(value);
  for (let classes = 0; classes < MAX_CLASSES; classes++) {
    if (at === null || isRoot(at)) return false;
    if (Reflect.ownKeys(at).some(name => name !== 'constructor')) return true;
    at = Object.getPrototypeOf(at);
  }
  return true;
}

/** The name of a class, never a name that the value itself gives. Never throws. */
export function instanceWord(value: object): string {
  const name = classNameOf(value);
  return typeof name === 'string' && /^[\w$]{1,64}$/.test(name)
    ? `an instance of ${name}`
    : 'an object of no known class';
}

function classNameOf(value: object): unknown {
  try {
    const prototype: object | null = Object.getPrototypeOf(value);
    const kind: unknown = prototype && Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
    return typeof kind === 'function' ? kind.name : undefined;
  } catch {
    return undefined;
  }
}
