import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, check, closeConnections, Driven, type Props } from "./drive";

let host: LabHost;
let before: string;

beforeEach(async () => {
  host = await startHost();
});
afterEach(() => host.down());

const on = (own: Props): Props => ({ ...accessOf(host), confirmDeadlineSeconds: 20, ...own });
const output = async (script: string, user?: string) =>
  (await host.run(script, user === undefined ? {} : { user })).stdout.trim();
const lineOf = (name: string) => output(`grep '^${name}:' /etc/group || echo none`);

async function given(script: string): Promise<void> {
  await host.run(script);
  before = await host.fingerprint();
}

test("a member may do what the group may, nobody else; delete leaves no trace", async () => {
  await given("echo secret >/usr/local/secret && chmod 640 /usr/local/secret");
  const group = await Driven.create("SystemGroup", "viewers", on({ name: "viewers", gid: 970, members: ["myself"] }));
  await host.run("chgrp viewers /usr/local/secret");
  expect(await lineOf("viewers")).toBe("viewers:x:970:myself");
  expect(await output("cat /usr/local/secret", "myself")).toBe("secret");
  expect(await output("cat /usr/local/secret 2>&1 || :", "mybro")).toContain("Permission denied");
  await host.run("chgrp root /usr/local/secret");
  await group.delete();
  expect(await host.fingerprint()).toBe(before);
});

test("members may be called like the attributes of groups and files", async () => {
  const members = ["is", "others", "content", "carries", "mode"];
  await given(members.map((name) => `useradd -M ${name}`).join("; "));
  const group = await Driven.create("SystemGroup", "viewers", on({ name: "viewers", gid: 970, members, exclusive: true }));
  expect(await lineOf("viewers")).toBe(`viewers:x:970:${members.join(",")}`);
  expect(await group.refresh()).toEqual({});
  await host.run("gpasswd -d content viewers; gpasswd -a plain viewers");
  // Whoever looks then looks anew, as another run would.
  closeConnections();
  expect(Object.keys((await group.refresh()) as object)).toHaveLength(2);
  await group.up(on({ name: "viewers", gid: 970, members: ["others", "content"], exclusive: true }));
  expect((await lineOf("viewers")).split(/[:,]/).slice(3).sort()).toEqual(["content", "others"]);
  await group.delete();
  expect(await host.fingerprint()).toBe(before);
});

describe("a group that was there", () => {
  test("is taken over with its number; only our member leaves again", async () => {
    await given("groupadd -g 1500 office && gpasswd -a plain office");
    await expect(Driven.create("SystemGroup", "mine", on({ name: "office" }))).rejects.toThrow(
      /the group office is there already and not ours; `adopt: true` takes it over/,
    );
    expect(await host.fingerprint()).toBe(before);
    const args = { name: "office", members: ["mybro", "plain"], adopt: true };
    const group = await Driven.create("SystemGroup", "mine", on(args));
    expect(await lineOf("office")).toBe("office:x:1500:plain,mybro");
    expect(await group.refresh()).toEqual({});
    expect(await group.up(on({ ...args, gid: 1500 }))).toBe(true);
    await group.delete();
    expect(await lineOf("office")).toBe("office:x:1500:plain");
    expect(await host.fingerprint()).toBe(before);
  });

  test("with another number is refused, and so is a number that is another's", async () => {
    await given("groupadd -g 1500 office");
    await expect(Driven.create("SystemGroup", "mine", on({ name: "office", gid: 970, adopt: true }))).rejects.toThrow(
      /gid: the group office has the number 1500 here.*leave `gid` out to keep it/,
    );
    await expect(Driven.create("SystemGroup", "mine", on({ name: "other", gid: 1500 }))).rejects.toThrow(
      /gid: 1500 is the number of the group office/,
    );
    expect(await host.fingerprint()).toBe(before);
  });

  test("is held by two stacks: the last one puts back what the first one found", async () => {
    await given("groupadd office");
    const of = (stack: string) =>
      Driven.create("SystemGroup", "shared", on({ name: "office", members: ["mybro"], adopt: true }), { stack });
    const both = [await of("one"), await of("two")];
    await both[0]?.delete();
    expect(await lineOf("office")).toMatch(/:mybro$/);
    await both[1]?.delete();
    expect(await host.fingerprint()).toBe(before);
  });
});

describe("an exclusive group", () => {
  const args = { name: "office", members: ["myself", "mybro"], exclusive: true, adopt: true };

  test("takes others out, names who comes later, and gives back who was found", async () => {
    await given("groupadd office && gpasswd -a plain office && gpasswd -a mybro office");
    // The control: without \`exclusive\` others stay.
    const group = await Driven.create("SystemGroup", "mine", on({ ...args, exclusive: false }));
    expect(await lineOf("office")).toMatch(/:plain,mybro,myself$/);
    await group.up(on(args));
    expect(await lineOf("office")).toMatch(/:mybro,myself$/);
    expect(await group.refresh()).toEqual({});
    await host.run("gpasswd -a plain office; sleep 1.1");
    expect(await group.refresh()).toEqual({
      "20 others": { wanted: "group office others none", found: "group office others plain" },
    });
    await group.up(on(args));
    expect(await lineOf("office")).toMatch(/:mybro,myself$/);
    // Who is named no more goes, although he was found as a member.
    await group.up(on({ ...args, members: ["myself"] }));
    expect(await lineOf("office")).toMatch(/:myself$/);
    expect(await group.refresh()).toEqual({});
    await group.delete();
    expect((await lineOf("office")).split(":")[3]?.split(",").sort()).toEqual(["mybro", "plain"]);
  });

  test("leaves alone whom another resource names, and is refused over a user whose first group it is", async () => {
    await given("groupadd office");
    const [one, two] = [
      await Driven.create("SystemGroup", "one", on({ name: "office", members: ["plain"], adopt: true }), { stack: "one" }),
      await Driven.create("SystemGroup", "two", on(args), { stack: "two" }),
    ];
    expect(await lineOf("office")).toMatch(/:plain,myself,mybro$/);
    expect([await one.refresh(), await two.refresh()]).toEqual([{}, {}]);
    await host.run("usermod -g office mybro; useradd -g office clerk");
    await expect(two.up(on({ ...args, members: ["myself"] }))).rejects.toThrow(
      /exclusive: office is the first group of (clerk|mybro) \(in \/etc\/passwd\).*usermod -g/,
    );
    await host.run("usermod -g mybro mybro; userdel clerk");
    await one.delete();
    await two.delete();
    expect(await lineOf("office")).toMatch(/:$/);
  });
});

test("a user who is not there is refused by the property's name", async () => {
  await given("true");
  const refused = (member: string) =>
    expect(Driven.create("SystemGroup", "mine", on({ name: "viewers", members: [member] }))).rejects;
  await refused("nosuch").toThrow(/members: there is no user nosuch on this host(?!; did you mean)/);
  await refused("mysefl").toThrow(/members: there is no user mysefl on this host; did you mean "myself"\?/);
  expect(await host.fingerprint()).toBe(before);
});

test("a change of its number is seen, and up gives it back", async () => {
  const args = on({ name: "viewers", gid: 970 });
  const group = await Driven.create("SystemGroup", "viewers", args);
  await host.run("groupmod -g 971 viewers; sleep 1.1");
  expect(await group.refresh()).toEqual({ "02 gid": { wanted: "group viewers gid 970", found: "group viewers gid 971" } });
  await group.up(args);
  expect(await lineOf("viewers")).toBe("viewers:x:970:");
  await expect(group.up(on({ name: "viewers", gid: 972 }))).rejects.toThrow(/gid: the group viewers has the number 970 here/);
});

test("a group that is gone is seen, with its members, and comes back", async () => {
  const args = on({ name: "viewers", gid: 970, members: ["myself", "mybro"] });
  const group = await Driven.create("SystemGroup", "viewers", args);
  await host.run("groupdel viewers; sleep 1.1");
  expect(Object.keys(await group.refresh())).toEqual(["01 is", "02 gid", "10 member myself", "10 member mybro"]);
  await group.up(args);
  expect(await lineOf("viewers")).toBe("viewers:x:970:myself,mybro");
  await host.run("sleep 1.1");
  expect(await group.refresh()).toEqual({});
});

test.each([
  ["another member", "gpasswd -a plain viewers", "gpasswd -d plain viewers", /^viewers:x:970:plain$/],
  ["a user whose own group it is", "usermod -g viewers plain", "usermod -g plain plain", /^viewers:x:970:$/],
  [
    "an override of dpkg, which would stop dpkg altogether",
    "dpkg-statoverride --add root viewers 0750 /usr/bin/id",
    "dpkg-statoverride --remove /usr/bin/id",
    /^viewers:x:970:$/,
  ],
])("a group of ours that is still needed stays: %s", async (_who, need, release, line) => {
  await given("true");
  const group = await Driven.create("SystemGroup", "viewers", on({ name: "viewers", gid: 970, members: ["myself"] }));
  await host.run(need);
  await group.delete();
  expect(await lineOf("viewers")).toMatch(line);
  // dpkg works as before.
  expect(await output("dpkg --audit && dpkg-statoverride --list >/dev/null; echo well")).toBe("well");
  await host.run(`${release} && groupdel viewers`);
  expect(await host.fingerprint()).toBe(before);
});

test("a group that a read-only /etc holds fast is no group that is still needed: the delete fails, and the next one succeeds", async () => {
  await given("true");
  const another = await Driven.create("SystemGroup", "another", on({ name: "others" }));
  const group = await Driven.create("SystemGroup", "viewers", on({ name: "viewers" }));
  // What is ours below /etc can be written; the databases of users and groups cannot.
  await host.run(`mkdir /run/ours && mount --bind /etc/drawbridge /run/ours && mount --bind /etc /etc && mount -o remount,bind,ro /etc
    mount --bind /run/ours /etc/drawbridge`);
  await expect(group.delete()).rejects.toMatchObject({
    failure: { code: "rejected", reason: expect.stringMatching(/group:viewers is cannot be set to -/) as unknown },
  });
  expect(await lineOf("viewers")).toMatch(/^viewers:/);
  await host.run("umount /etc/drawbridge /etc /run/ours && rmdir /run/ours");
  expect(await group.refresh()).toEqual({});
  await group.delete();
  await another.delete();
  expect(await host.fingerprint()).toBe(before);
});

test.each([
  [{ name: "root" }, "name", /administrator/],
  [{ name: "a b" }, "name", /group name/],
  [{ gid: 0 }, "gid", /at least 1/],
  [{ gid: 65534 }, "gid", /at most 65533/],
  [{ members: ["myself", "myself"] }, "members[1]", /twice/],
  [{ members: ["#0"] }, "members[0]", /name/],
])("%j is refused", async (own, property, reason) => {
  const { failures } = await check("SystemGroup", "wrong", on({ name: "viewers", ...own }));
  expect(failures).toEqual([{ property, reason: expect.stringMatching(reason) as unknown }]);
});
