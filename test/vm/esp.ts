import type { Vm } from "../../tools/lab";
import { said } from "./machine";

/** The two ends of a path, the networks behind them ("in" and what the namespace "peer" has), one host in each and the machine's address for the first. */
const paths = {
  IPv4: {
    home: "203.0.114.2",
    away: "203.0.114.9",
    link: 24,
    near: "10.0.1.0/24",
    router: "10.0.1.1",
    inside: "10.0.1.9",
    beyond: "10.0.2.0/24",
    target: "10.0.2.5",
  },
  IPv6: {
    home: "2001:db8:114::2",
    away: "2001:db8:114::9",
    link: 64,
    near: "fd00:1::/64",
    router: "fd00:1::1",
    inside: "fd00:1::9",
    beyond: "fd00:2::/64",
    target: "fd00:2::5",
  },
} as const;

/** Both paths, without a tunnel. */
export const twoNetworks = [
  `set -e
  ip netns add peer; ip netns add in
  ip link add wan0 type veth peer name p0 netns peer; ip link add lan0 type veth peer name i0 netns in
  for link in wan0 lan0; do ip link set $link up; done
  ip -n peer link set lo up; ip -n peer link set p0 up; ip -n in link set i0 up
  sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`,
  ...Object.values(paths).map(({ home, away, link, near, router, inside, beyond, target }) => {
    const atOnce = link === 64 ? "nodad" : "";
    return `
  ip address add ${home}/${link} dev wan0 ${atOnce}; ip -n peer address add ${away}/${link} dev p0 ${atOnce}
  ip address add ${router}/${link} dev lan0 ${atOnce}; ip -n in address add ${inside}/${link} dev i0 ${atOnce}
  ip -n in route add default via ${router}; ip route add ${beyond} via ${away}
  ip -n peer address add ${target} dev lo ${atOnce}; ip -n peer route add ${near} via ${home} src ${target}`;
  }),
].join("");

type Mode = "tunnel" | "transport";

const secret = "00112233445566778899aabbccddeeff";
const keys = `enc 'cbc(aes)' 0x${secret} auth 'hmac(sha256)' 0x${secret}${secret}`;

/** ESP between the two ends of a path: for the networks behind them in tunnel mode, for themselves in transport mode. */
export class Esp {
  readonly #vm: Vm;
  readonly #mode: Mode;
  readonly #path: (typeof paths)[keyof typeof paths];
  /** No two have the same. */
  readonly reqid: number;

  constructor(vm: Vm, family: keyof typeof paths, mode: Mode) {
    this.#vm = vm;
    this.#mode = mode;
    this.#path = paths[family];
    this.reqid = (family === "IPv4" ? 1 : 2) + (mode === "tunnel" ? 0 : 10);
  }

  /** What travels in it, as a network of the far end. */
  get network(): string {
    return this.#mode === "tunnel" ? this.#path.beyond : `${this.#path.away}/${this.#path.link === 24 ? 32 : 128}`;
  }

  get remoteEndpoint(): string {
    return this.#path.away;
  }

  /** Whether the far end answers, however the packets get there. */
  async reaches(): Promise<boolean> {
    const ping = this.#mode === "tunnel" ? `ip netns exec in ping ${this.#path.target}` : `ping ${this.#path.away}`;
    return (await this.#vm.run(`${ping} -n -c 1 -W 2 >/dev/null`, { allowFailure: true })).code === 0;
  }

  /** Replaces whatever tunnels there are by these. */
  static async up(vm: Vm, all: readonly Esp[]): Promise<void> {
    await vm.run(["set -e; ip xfrm state flush; ip -n peer xfrm state flush", ...all.map((esp) => esp.#script())].join("\n"));
  }

  #script(): string {
    const { home, away, near, beyond } = this.#path;
    const [here, there] = this.#mode === "tunnel" ? [near, beyond] : [home, away];
    const esp = `proto esp reqid ${this.reqid} mode ${this.#mode}`;
    const [out, back] = [`src ${home} dst ${away}`, `src ${away} dst ${home}`];
    const states = ["", "-n peer"].flatMap((on) =>
      [out, back].map((ends, index) => `ip ${on} xfrm state add ${ends} spi ${2 * this.reqid + index + 0x100} ${esp} ${keys}`),
    );
    const policy = (on: string, from: string, to: string, way: string, ends: string) =>
      `ip ${on} xfrm policy add src ${from} dst ${to} dir ${way} tmpl ${ends} ${esp}`;
    const policies = [
      policy("", here, there, "out", out),
      policy("", there, here, "in", back),
      policy("", there, here, "fwd", back),
      policy("-n peer", there, here, "out", back),
      policy("-n peer", here, there, "in", out),
    ];
    return [...states, ...policies].join("\n");
  }

  /** Nothing is wrapped any more, as when a daemon dies and takes its policies along; the keys stay. */
  static async down(vm: Vm): Promise<void> {
    await vm.run("ip xfrm policy flush; ip -n peer xfrm policy flush");
  }

  /** How many packets left wrapped. */
  async sent(): Promise<number> {
    const state = `ip -s xfrm state get src ${this.#path.home} dst ${this.#path.away} proto esp spi ${2 * this.reqid + 0x100}`;
    return Number(/(\d+)\(packets\)/.exec(await said(this.#vm, state))?.[1] ?? 0);
  }
}
