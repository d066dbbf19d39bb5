/** Which types live pods work, in memory. Neighbour: `state.ts` keeps what they announce. */
import { type HostedType, type Hosts, MAX_HOST_TEXTS } from '../../core/ports/hosts.js';
import type { MemoryServer } from './server.js';

export class MemoryHosts implements Hosts {
  constructor(private readonly server: MemoryServer) {}

  async announce(types: readonly HostedType[], forMs: number): Promise<readonly (readonly string[])[]> {
    return types.map(([type, text]) => {
      const announced = this.live(type).filter(([other]) => other !== text);
      this.server.hosts.set(type, new Map([...announced, [text, this.server.now() + forMs]]));
      return this.live(type)
        .sort(([, one], [, other]) => other - one)
        .slice(0, MAX_HOST_TEXTS)
        .map(([other]) => other);
    });
  }

  async withdraw(types: readonly HostedType[]): Promise<void> {
    for (const [type, text] of types) this.server.hosts.get(type)?.delete(text);
  }

  async areHosted(types: readonly string[]): Promise<readonly boolean[]> {
    return types.map(type => this.live(type).length + this.server.leases.livePods(type).length > 0);
  }

  private live(type: string): [text: string, untilMs: number][] {
    return [...(this.server.hosts.get(type) ?? [])].filter(([, untilMs]) => untilMs > this.server.now());
  }
}
