/**
 * The command classes of this process: those with `@QueueEntity`, `@JobCommand` or `@JobQuery`. Nothing else names a class for which
 * there is no handler. Neighbours: `queue-entity.decorator.ts` and `job-command.decorator.ts` add to them, `boot-report.ts` compares them with the handlers.
 */
import type { Class } from './metadata.js';

/** Weak: a class of a module that is gone, as between the files of a test run, is in no report. */
let classes: WeakRef<Class>[] = [];

export function rememberCommandClass(target: Class): void {
  classes.push(new WeakRef(target));
}

/** In the order of their imports. */
export function commandClasses(): Class[] {
  classes = classes.filter(ref => ref.deref() !== undefined);
  return [...new Set(classes.flatMap(ref => ref.deref() ?? []))];
}
