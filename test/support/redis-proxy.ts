/**
 * A proxy between the library and Redis in which a test breaks single connections, or all: a connection hangs, open and silent in both
 * directions; it is cut at the worst moment, when a step was executed and its response is on its way; the network is slow, or
 * partitioned; another server is behind the address.
 *
 * As in TCP, nothing is lost while both ends live: bytes that a partition holds up arrive when it heals, even if their sender has
 * given up meanwhile.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { ConnectionRole } from '../../src/store/redis/connection/connection.js';
import { redisUrl } from './redis.js';

/** What happens on one side of a connection and is told to the other: bytes, or the end. */
interface Passage {
  readonly atMs: number;
  readonly pass: () => void;
}

interface Wire {
  role: string | undefined;
  isFrozen: boolean;
  isCut: boolean;
  /** The pod's side is gone, and Redis is never told. */
  isAbandoned: boolean;
  readonly pod: Socket;
  readonly redis: Socket;
  readonly toRedis: Passage[];
  readonly toPod: Passage[];
}

/** Which directions a partition blocks. */
export type Partition = 'none' | 'both' | 'answers';

export class RedisProxy {
  private wires: Wire[] = [];
  private isArmed = false;
  private partition: Partition = 'none';
  private heldRole: ConnectionRole | undefined;
  private delayMs = 0;
  private readonly counts = new Map<string, number>();
  private readonly server = createServer(pod => this.join(pod));

  constructor(private target?: string) {}

  async start(): Promise<string> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve));
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** How many connections of that role have ever been made. */
  count(role: ConnectionRole): number {
    return this.counts.get(role) ?? 0;
  }

  /** Connections that are open now hang from now on; later ones do not. */
  freeze(role: ConnectionRole): void {
    for (const wire of this.wires) if (wire.role === role) wire.isFrozen = true;
  }

  /** The next script is executed, its response is swallowed, and the connection is closed. */
  cutNextAnswer(): void {
    this.isArmed = true;
  }

  /** All connections, also those to come, hold up what they are given; `'none'` heals. */
  block(partition: Partition): void {
    this.partition = partition;
    for (const wire of this.wires) this.pump(wire);
  }

  /** Holds up only what a pod sends on connections of that role; call the result to let it through. */
  hold(role: ConnectionRole): () => void {
    this.heldRole = role;
    return () => {
      this.heldRole = undefined;
      for (const wire of this.wires) this.pump(wire);
    };
  }

  /** Delays everything by that long from now on, each way. */
  delay(ms: number): void {
    this.delayMs = ms;
  }

  /** All connections of pods break with a reset. */
  reset(): void {
    for (const { pod } of this.wires) pod.resetAndDestroy();
  }

  /** Half-open: all connections of pods are gone, and Redis keeps its ends of them. */
  abandon(): void {
    for (const wire of this.wires) {
      wire.isAbandoned = true;
      wire.pod.resetAndDestroy();
    }
  }

  /** From now on another server is behind the address. */
  switchTo(target: string): void {
    this.target = target;
  }

  async close(): Promise<void> {
    this.partition = 'none';
    for (const { pod, redis } of this.wires) {
      pod.destroy();
      redis.destroy();
    }
    await new Promise(resolve => this.server.close(resolve));
  }

  private join(pod: Socket): void {
    const { hostname, port } = new URL(this.target ?? redisUrl());
    const redis = connect(Number(port || 6379), hostname);
    const wire: Wire = {
      role: undefined,
      isFrozen: false,
      isCut: false,
      isAbandoned: false,
      pod,
      redis,
      toRedis: [],
      toPod: [],
    };
    this.wires.push(wire);
    pod.on('data', sent => {
      const text = sent.toString('latin1');
      // Every connection of the library names its purpose: `atomic-queues:<pod>:<role>`.
      const role = wire.role ?? text.match(/atomic-queues:[^:]+:([\w-]+)/)?.[1];
      if (role && !wire.role) this.counts.set(role, (this.counts.get(role) ?? 0) + 1);
      wire.role = role;
      if (this.isArmed && /evalsha/i.test(text)) {
        this.isArmed = false;
        wire.isCut = true;
      }
      if (!wire.isFrozen) this.pass(wire, wire.toRedis, () => redis.write(sent));
    });
    redis.on('data', answer => {
      if (wire.isCut) pod.destroy();
      else if (!wire.isFrozen) this.pass(wire, wire.toPod, () => pod.write(answer));
    });
    for (const socket of [pod, redis]) socket.on('error', () => {});
    pod.on('close', () => {
      if (!wire.isAbandoned) this.pass(wire, wire.toRedis, () => redis.destroySoon());
    });
    redis.on('close', () => {
      this.wires = this.wires.filter(other => other !== wire);
      this.pass(wire, wire.toPod, () => pod.destroySoon());
    });
  }

  private pass(wire: Wire, way: Passage[], pass: () => void): void {
    way.push({ atMs: performance.now() + this.delayMs, pass });
    this.pump(wire);
  }

  /** Lets through what is due, each way in its order. */
  private pump(wire: Wire): void {
    for (const way of [wire.toRedis, wire.toPod]) {
      if (this.partition === 'both' || (this.partition === 'answers' && way === wire.toPod)) continue;
      if (this.heldRole && this.heldRole === wire.role && way === wire.toRedis) continue;
      while (way[0] && way[0].atMs <= performance.now()) way.shift()?.pass();
      const next = way[0];
      if (next) setTimeout(() => this.pump(wire), Math.ceil(next.atMs - performance.now()));
    }
  }
}
