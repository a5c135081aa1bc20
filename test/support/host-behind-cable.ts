import { execFileSync } from "node:child_process";

/** A host of its own, in a network namespace, at the other end of a cable that can be pulled: packets to it and from it are then lost, and nobody is told. */
export class HostBehindCable {
  /** Where it is reached. */
  readonly address: string;
  /** What runs a program on it: to be put before the program's own command. */
  readonly command: readonly string[];

  readonly #name: string;

  private constructor(name: string, address: string) {
    this.#name = name;
    this.address = address;
    this.command = ["ip", "netns", "exec", name];
  }

  /**
   * Makes the host. `remove` must be called in the end. One for each process.
   *
   * @throws Error where this process has no right to: that takes root, in a container with CAP_NET_ADMIN and CAP_SYS_ADMIN
   */
  static make(): HostBehindCable {
    const name = `ra-${process.pid}`;
    const third = process.pid % 250;
    const host = new HostBehindCable(name, `10.213.${third}.2`);
    ip("netns", "add", name);
    process.once("exit", () => {
      host.remove();
    });
    ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name);
    ip("addr", "add", `10.213.${third}.1/30`, "dev", name);
    ip("link", "set", name, "up");
    ip("-n", name, "addr", "add", `${host.address}/30`, "dev", "eth0");
    host.plugIn();
    return host;
  }

  /** Pulls the cable. */
  unplug(): void {
    ip("-n", this.#name, "link", "set", "eth0", "down");
  }

  /** Plugs it in again. */
  plugIn(): void {
    ip("-n", this.#name, "link", "set", "eth0", "up");
  }

  /** Removes the host; its programs must have ended. */
  remove(): void {
    for (const args of [["link", "del", this.#name], ["netns", "del", this.#name]]) {
      try {
        ip(...args);
      } catch {
        // It has gone already.
      }
    }
  }
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
}
