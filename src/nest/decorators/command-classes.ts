/**
 * The command classes of this process: those with `@QueueEntity`, `@JobCommand` or `@JobQuery`. Only this list has classes without a
 * handler. Neighbours: `queue-entity.decorator.ts` and `job-command.decorator.ts` add to it, `boot-report.ts` compares it with the handlers.
 */
import type { Class } from './metadata.js';

/** Weak, so that classes of an unloaded module, as between the files of a test run, are in no report. */
let classes: WeakRef<Class>[] = [];

export function rememberCommandClass(target: Class): void {
  classes.push(new WeakRef(target));
}

/** The classes, in the order of their imports. */
export function commandClasses(): Class[] {
  classes = classes.filter(ref => ref.deref() !== undefined);
  return [...new Set(classes.flatMap(ref => ref.deref() ?? []))];
}
