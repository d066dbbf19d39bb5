/**
 * The renewal thread as the main thread sees it. It never keeps the process alive.
 * Owns: its start and end, and the renewals that have no response yet. Neighbour: `renewal-thread.entry.ts` runs in it.
 */
import { Worker } from 'node:worker_threads';
import { StoreUnavailableError } from '../../../core/model/store-errors.js';
import type { PodState, Renewed } from '../../../core/ports/claims.js';
import type { PlainConnectionOptions } from '../connection/options.js';
import type { HeartbeatOptions, RenewalArguments, Renewer } from './renewal-connection.js';
import { threadFile } from './renewal-thread.file.cjs';

export interface ThreadOptions extends HeartbeatOptions {
  readonly redis: PlainConnectionOptions;
  readonly blockLimitMs: number;
}

/** A message to the thread. */
export type ToThread =
  | {
      readonly kind: 'renew';
      readonly id: number;
      readonly renewals: readonly RenewalArguments[];
      readonly pod: PodState;
    }
  | { readonly kind: 'granted'; readonly renewals: readonly RenewalArguments[] }
  | { readonly kind: 'forget' };

/** The outcome of the renewal of that id. */
export interface FromThread {
  readonly id: number;
  readonly renewed?: Renewed;
  readonly error?: string;
}

interface Pending {
  resolve(renewed: Renewed): void;
  reject(error: Error): void;
}

export class RenewalThread implements Renewer {
  private readonly worker: Worker;
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  private closed = false;

  /**
   * @param onEnd is called when the thread has ended by itself, for example since it could not be loaded. Pending renewals are rejected
   * after that.
   * @throws what Node throws when a thread can't be made, or an option can't be sent to it.
   */
  constructor(options: ThreadOptions, onEnd: (reason: Error) => void) {
    this.worker = new Worker(threadFile, {
      workerData: options,
      name: 'atomic-queues heartbeat',
      // The thread needs nothing that the application preloads: tracing, a compiler.
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    // Node refers to it again once it is online. While it closes, it holds the process: the application waits for that.
    this.worker.unref();
    this.worker.on('online', () => this.closed || this.worker.unref());
    this.worker.on('message', (message: FromThread) => this.onMessage(message));
    let reason = new Error('it has ended');
    this.worker.on('error', error => {
      reason = error;
    });
    this.worker.on('exit', () => {
      if (!this.closed) onEnd(reason);
      this.end();
    });
  }

  renew(renewals: readonly RenewalArguments[], pod: PodState): Promise<Renewed> {
    return new Promise((resolve, reject) => {
      const id = ++this.lastId;
      this.pending.set(id, { resolve, reject });
      this.tell({ kind: 'renew', id, renewals, pod });
      if (this.closed) this.end();
    });
  }

  tell(message: ToThread): void {
    this.worker.postMessage(message);
  }

  /** Resolves when the thread has ended. */
  async close(): Promise<void> {
    this.end();
    await this.worker.terminate();
  }

  private onMessage({ id, renewed, error }: FromThread): void {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    if (renewed) pending?.resolve(renewed);
    else pending?.reject(new StoreUnavailableError(`Claims were not renewed: ${error}`));
  }

  private end(): void {
    this.closed = true;
    for (const { reject } of this.pending.values()) reject(new StoreUnavailableError('The renewal thread has ended.'));
    this.pending.clear();
  }
}
