/** The pods of a run, each a process with a port; orders go to them in turn, and to another when one is gone. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Order } from './orders.js';

interface Pod {
  readonly name: string;
  readonly process: ChildProcess;
  port: number;
}

const RETRY_AFTER_MS = 10;
const GIVE_UP_AFTER_MS = 20_000;

export class Pods {
  private pods: Pod[] = [];
  private turn = 0;

  async start(count: number, settings: Record<string, string>): Promise<void> {
    this.pods = Array.from({ length: count }, (_, index) => startPod(`pod-${index + 1}`, settings));
    await Promise.all(this.pods.map(listening));
  }

  /** Resolves when a pod has taken the order; until one has, tries the next pod with the same operation id. */
  async send({ kind, accountId, ...body }: Order): Promise<void> {
    const giveUpAt = Date.now() + GIVE_UP_AFTER_MS;
    for (;;) {
      const pod = this.pods[this.turn++ % this.pods.length];
      try {
        const answer = await fetch(`http://127.0.0.1:${pod?.port}/accounts/${accountId}/${kind}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
        const text = await answer.text();
        if (answer.ok) return;
        throw new Error(`${pod?.name} answered ${answer.status}: ${text}`);
      } catch (error) {
        if (Date.now() > giveUpAt) throw error;
        await sleep(RETRY_AFTER_MS);
      }
    }
  }

  /** Kills a pod as a crash would. Returns when, in ms since 1970. */
  kill(name: string): number {
    const pod = this.pods.find(other => other.name === name);
    this.pods = this.pods.filter(other => other !== pod);
    pod?.process.kill('SIGKILL');
    return Date.now();
  }

  async stop(): Promise<void> {
    const alive = this.pods.filter(({ process }) => process.exitCode === null && process.signalCode === null);
    const exits = alive.map(({ process }) => once(process, 'exit'));
    for (const pod of alive) pod.process.kill('SIGTERM');
    await Promise.all(exits);
    this.pods = [];
  }

  /** The demo itself ends early: nothing may outlive it. */
  killAll(): void {
    for (const pod of this.pods) pod.process.kill('SIGKILL');
  }
}

function startPod(name: string, settings: Record<string, string>): Pod {
  const child = fork(new URL('../main.js', import.meta.url), {
    env: { ...process.env, ...settings, POD: name, PORT: '0', QUIET: '1' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return { name, process: child, port: 0 };
}

async function listening(pod: Pod): Promise<void> {
  const [port] = await Promise.race([
    once(pod.process, 'message'),
    once(pod.process, 'exit').then(([code]) => {
      throw new Error(`${pod.name} ended at start with code ${code}`);
    }),
  ]);
  pod.port = Number(port);
}
