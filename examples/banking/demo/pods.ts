/** The pods of a run, each a process with a port; orders go to them in turn, and to another when one is gone. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

interface Pod {
  readonly name: string;
  readonly port: number;
  readonly process: ChildProcess;
}

export interface Order {
  readonly kind: 'deposit' | 'withdraw' | 'transfer';
  readonly accountId: string;
  readonly amount: number;
  readonly operationId: string;
  readonly to?: string;
}

const MAX_TRIES = 200;

export class Pods {
  private pods: Pod[] = [];
  private turn = 0;

  async start(count: number, settings: Record<string, string>): Promise<void> {
    const names = Array.from({ length: count }, (_, index) => `pod-${index + 1}`);
    this.pods = await Promise.all(names.map(name => startPod(name, settings)));
  }

  /** Resolves when a pod has taken the order; tries the next pod, with the same operation id, until one has. */
  async send({ kind, accountId, ...body }: Order): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const pod = this.pods[this.turn++ % this.pods.length];
      try {
        const answer = await fetch(`http://127.0.0.1:${pod?.port}/accounts/${accountId}/${kind}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
        await answer.arrayBuffer();
        if (answer.ok) return;
        throw new Error(`${pod?.name} answered ${answer.status}`);
      } catch (error) {
        if (attempt >= MAX_TRIES) throw error;
        await new Promise(resolve => setTimeout(resolve, 5));
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
    const exits = this.pods.map(({ process }) => once(process, 'exit'));
    for (const pod of this.pods) pod.process.kill('SIGTERM');
    await Promise.all(exits);
    this.pods = [];
  }

  /** The demo itself ends early: nothing may outlive it. */
  killAll(): void {
    for (const pod of this.pods) pod.process.kill('SIGKILL');
  }
}

async function startPod(name: string, settings: Record<string, string>): Promise<Pod> {
  const child = fork(new URL('../main.js', import.meta.url), {
    env: { ...process.env, ...settings, POD: name, PORT: '0' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [port] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`${name} ended at start with code ${code}`);
    }),
  ]);
  return { name, port: Number(port), process: child };
}
