/**
 * Continues the caller's trace in the handler, through the propagator that the application has given OpenTelemetry. By default that is
 * W3C's `traceparent`, `tracestate` and `baggage`.
 *
 * `@opentelemetry/api` is an optional peer, imported only for the option `tracing`. A trace never refuses or fails a job: a field that
 * cannot travel is left out, with one warning.
 * Neighbour: `core/payload/caller-context.ts` captures and restores traces.
 */

import type { TraceFields } from '../core/model/envelope.js';
import { InvalidOptionError, messageOf } from '../core/model/errors.js';
import type { Tracer } from '../core/payload/caller-context.js';
import type { Log } from '../core/ports/log.js';

/** The parts of `@opentelemetry/api` that this file uses. */
export interface OpenTelemetry {
  readonly ROOT_CONTEXT: unknown;
  readonly context: { active(): unknown; with<T>(context: unknown, run: () => T): T };
  readonly propagation: {
    inject(context: unknown, carrier: Record<string, string>): void;
    extract(context: unknown, carrier: TraceFields): unknown;
  };
}

/** W3C's bound on `baggage`, in bytes. The other fields are far shorter. */
const MAX_BYTES = 8192;

/** @throws InvalidOptionError when the package cannot be imported. */
export async function openTracer(
  log: Log,
  load: () => Promise<unknown> = () => import('@opentelemetry/api'),
): Promise<Tracer> {
  try {
    return new OpenTelemetryTracer((await load()) as OpenTelemetry, log);
  } catch (error) {
    throw new InvalidOptionError(
      `AtomicQueuesModule.tracing needs @opentelemetry/api, which can't be imported (${messageOf(error)}). Install it.`,
    );
  }
}

class OpenTelemetryTracer implements Tracer {
  private readonly told = new Set<string>();

  constructor(
    private readonly api: OpenTelemetry,
    private readonly log: Log,
  ) {}

  inject(): TraceFields | undefined {
    const { context, propagation } = this.api;
    const fields: Record<string, string> = {};
    try {
      propagation.inject(context.active(), fields);
    } catch (error) {
      this.tellOnce(`A propagator failed to inject the caller's trace, so the job has none: ${messageOf(error)}`);
      return undefined;
    }
    for (const [name, value] of Object.entries(fields)) {
      if (typeof value === 'string' && Buffer.byteLength(value) <= MAX_BYTES) continue;
      delete fields[name];
      this.tellOnce(
        `The trace field "${name}" is longer than ${MAX_BYTES} bytes or no string, so it does not travel with the job.`,
      );
    }
    return Object.keys(fields).length > 0 ? fields : undefined;
  }

  within<T>(fields: TraceFields, run: () => T): T {
    const { ROOT_CONTEXT, context } = this.api;
    // Not the active context: that belongs to the code that woke the worker.
    // guards: tracing.within
    return context.with(this.extract(ROOT_CONTEXT, fields), run);
  }

  private extract(root: unknown, fields: TraceFields): unknown {
    try {
      return this.api.propagation.extract(root, fields);
    } catch (error) {
      this.tellOnce(`A propagator failed to read the trace of a job, so its handler runs without: ${messageOf(error)}`);
      return root;
    }
  }

  private tellOnce(message: string): void {
    if (this.told.has(message)) return;
    // The message of an error may differ each time.
    if (this.told.size < 100) this.told.add(message);
    this.log.warn(message);
  }
}
