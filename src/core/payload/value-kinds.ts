/**
 * Which kinds of objects JSON would empty, and what to enqueue instead. Owns the lists.
 * Neighbour: `json-values.ts` walks a value and asks for each object.
 */

/** Tags of what has its content elsewhere than in its properties, even if an instance or a subclass adds some. */
export const ELSEWHERE = new Set([
  ...['Error', 'RegExp', 'Map', 'Set', 'WeakMap', 'WeakSet', 'WeakRef', 'Promise', 'ArrayBuffer', 'SharedArrayBuffer'],
  ...['BigInt', 'Symbol', 'Headers', 'FormData', 'Blob', 'File', 'URLSearchParams'],
]);

export const REMEDIES = new Map([
  ['Map', ': use [...map]'],
  ['Set', ': use [...set]'],
]);

/** A list of nothing that is the whole value usually comes of `return Promise.all(items.map(save))`. */
export function noItem(depth: number): string {
  const remedy = depth === 0 ? 'use null, or await Promise.all() without returning what it gives' : 'use null';
  return `is undefined (or a hole): ${remedy}`;
}

/** By the shape that `isObservable` of rxjs asks for, whose copies may be several. A class of a user may have `subscribe` alone. */
export function isObservable(value: object): boolean {
  const { subscribe, lift } = value as { subscribe?: unknown; lift?: unknown };
  return typeof subscribe === 'function' && typeof lift === 'function';
}

/** Boxed primitives. Each function throws for what only has the tag of its brand. */
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

/** `Object.prototype`, of whichever realm. */
function isRoot(prototype: object): boolean {
  if (prototype === Object.prototype) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');
}

/** Longest chain of classes that is looked at; a proxy may make one without an end. */
const MAX_CLASSES = 100;

/**
 * An instance without properties of its own, whose class has methods or accessors: what it holds is private, as in `Headers`,
 * a generator or a class with `#fields`. One of a class that has nothing (`class Ping {}`) is complete.
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

/** Never a name that the value itself gives. Never throws. */
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
