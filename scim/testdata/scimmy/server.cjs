// Serves made-up users and groups over SCIM with SCIMMY, on a loopback port that it prints.
// It runs with the packages of the directory it is started in, and ends with its standard
// input.
//
// usage: node ../server.cjs USERS TOKEN
const { createRequire } = require("node:module");
const path = require("node:path");

const installed = createRequire(path.join(process.cwd(), "package.json"));
const express = installed("express");
const module_ = (name) => { const it = installed(name); return it.default ?? it; };
const SCIMMY = module_("scimmy");
const SCIMMYRouters = module_("scimmy-routers");

const [, , number, token] = process.argv;
const count = Number(number);
const id = (kind, i) => `${kind}-${String(i).padStart(4, "0")}`;
const meta = { created: new Date("2026-01-01T00:00:00Z"), lastModified: new Date("2026-01-01T00:00:00Z") };

const users = Array.from({ length: count }, (_, i) => ({
  id: id("user", i),
  userName: `person${i}@example.com`,
  displayName: `Person ${i}`,
  name: { givenName: "Person", familyName: String(i) },
  emails: [{ value: `person${i}@example.com`, primary: true }],
  active: i % 10 !== 3,
  meta,
}));
// Each group has the user of its number and the one after it.
const groups = Array.from({ length: count }, (_, i) => ({
  id: id("group", i),
  displayName: `Group ${i}`,
  members: [...new Set([i, (i + 1) % count])].map((user) => ({ value: id("user", user), type: "User" })),
  meta,
}));

// As in the documentation of SCIMMY: everyone is returned, and SCIMMY makes the page.
const from = (all) => (resource) => {
  const found = resource.id ? all.filter((one) => one.id === resource.id) : all;
  if (resource.id && found.length === 0) throw new SCIMMY.Types.Error(404, null, `there is no ${resource.id}`);
  return found.map((one) => structuredClone(one));
};
SCIMMY.Resources.declare(SCIMMY.Resources.User, { egress: from(users) });
SCIMMY.Resources.declare(SCIMMY.Resources.Group, { egress: from(groups) });

const app = express();
app.use("/scim", new SCIMMYRouters({
  type: "bearer",
  handler: (request) => {
    if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("the token is wrong");
    return "reader";
  },
}));
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
