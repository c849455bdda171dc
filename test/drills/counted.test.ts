import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven } from "../lab/drive";

/** More than a hundred: with the hundredth delta the host lists its tables once more. */
const CHANGES = process.env["DRAWBRIDGE_DRILLS"] === "all" ? 1000 : 110;

let host: LabHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.down());

test(`${CHANGES} changes beside a flood: each hit of another fence is counted, and none of its rules is made anew`, async () => {
  const fence = (networks: readonly string[]) => ({ ...accessOf(host), uplink: "eth0", networks, confirmDeadlineSeconds: 60 });
  const standing = await Driven.create("LeakFence", "standing", fence(["10.0.0.0/8"]));
  const edited = await Driven.create("LeakFence", "edited", fence(["198.51.100.0/28"]));
  const text = async (script: string) => (await host.run(script)).stdout.trim();
  const object = await text("basename /etc/drawbridge/nft/inet-drawbridge/50-leak-fence-standing-*.nft .nft | cut -c 4-");
  const counted = async () =>
    Number(/packets (\d+)/.exec(await text(`nft list counter inet drawbridge '${object}.to.10.0.0.0/8'`))?.[1]);
  // A rule that is made anew, and with it what its limit has let pass, has another handle.
  const rules = () =>
    text(`for chain in ${object} ${object}.from ${object}.leak; do nft -a list chain inet drawbridge $chain; done`);

  const stood = await rules();
  const before = await counted();
  await host.run(`setsid -f perl -MSocket=:all -e '
    socket(my $socket, AF_INET, SOCK_DGRAM, 0) or die; my $to = pack_sockaddr_in(4009, inet_aton("10.9.9.9"));
    my $sent = 0;
    until (-e "/run/enough") { send($socket, "hit", 0, $to) or $!{EPERM} or die $!; $sent++; select undef, undef, undef, 0.002 }
    open(my $file, ">", "/run/sent") or die; print $file $sent; close $file' >/dev/null 2>&1 </dev/null`);
  for (let change = 1; change <= CHANGES; change++) {
    expect(await edited.up(fence([`198.51.${100 + (change % 2)}.${(change % 16) * 16}/28`]))).toBe(true);
  }
  const sent = Number(
    await text("touch /run/enough; for i in $(seq 300); do [ -s /run/sent ] && break; sleep 0.1; done; cat /run/sent"),
  );
  expect(sent).toBeGreaterThan(CHANGES);
  expect((await counted()) - before).toBe(sent);
  expect(await rules()).toBe(stood);
  // The control: what loads tables whole makes the rules anew.
  await host.run("drawbridge-host load");
  expect(await rules()).not.toBe(stood);
  for (const one of [standing, edited]) {
    expect(await one.refresh()).toEqual({});
    await one.delete();
  }
}, 1_800_000);
