package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
)

// pluginTakes are the keys of a plugin's entry.
const pluginTakes = "app, call-timeout, change-guard, command, concurrency, config, env, fields, health-timeout, idle-timeout, image, keep-running, log-level, max-page-size, max-rows, memory-limit, namespace, path, provenance, provisioning, read-ahead, require-evidence, restart-limit, restart-window, sandbox, start-timeout, unmodified, version"

func TestLoad_ReportsEveryProblemWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		yaml string
		want []string
	}{
		"an unknown key, with the near miss": {`plugin-dir: [x]
plugins:
  a:
    ap: x
    Start_Timeout: 1s
uploads:
  w:
    plugin: [a]
    plugins: [a]
`, []string{
			`baton-host.yaml:1:1: unknown key "plugin-dir"; did you mean "plugin-dirs"?`,
			`baton-host.yaml:4:5: unknown key "ap"; did you mean "app"?`,
			`baton-host.yaml:5:5: unknown key "Start_Timeout"; did you mean "start-timeout"?`,
			`baton-host.yaml:8:5: unknown key "plugin"; did you mean "plugins"?`,
		}},
		"an unknown key, with what there is": {`extra: 1
plugins:
  a:
    scim-token: x
    keyless-hunter2:
    'spaced hunter2': x
`, []string{
			`baton-host.yaml:1:1: unknown key "extra"; the file takes max-running, notify, plugin-dirs, plugin-releases, plugin-store, plugins, secret-helpers, secret-stores, state, state-dir, trust, uploads`,
			`baton-host.yaml:4:5: unknown key "scim-token"; plugin "a" takes ` + pluginTakes + `; the app's own fields belong under config`,
			`baton-host.yaml:5:5: unknown key; plugin "a" takes ` + pluginTakes + `; the app's own fields belong under config`,
			`baton-host.yaml:6:5: unknown key; plugin "a" takes ` + pluginTakes + `; the app's own fields belong under config`,
		}},
		"everything at once": {`plugins:
  A:
    app: X
    path: [x]
    namespace: other
    start-timeout: soon
    env: HOME
    config: none
uploads:
  u.v:
    client-id: x
    plugins: [b, A, A]
    on-plugin-failure: last-good
`, []string{
			`baton-host.yaml:2:3: the plugin name "A" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
			`baton-host.yaml:3:10: the app "X" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
			`baton-host.yaml:4:11: path must be a text, not a list or a mapping`,
			`baton-host.yaml:5:16: namespace can only be "" (written with the quotes), which leaves resource types without a prefix; otherwise the prefix is the plugin's name`,
			`baton-host.yaml:6:20: start-timeout must be a duration with its unit, such as 10s or 1m30s, at least 1ms and at most 10m`,
			`baton-host.yaml:7:10: env must be a list: put [ ] around a single item, or each item on its own line after "- "`,
			`baton-host.yaml:8:13: config must be a mapping: each "key: value" on its own line`,
			`baton-host.yaml:10:3: the upload name "u.v" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
			`baton-host.yaml:11:5: upload "u.v" has client-id but no client-secret; give client-id and client-secret, or neither of them`,
			`baton-host.yaml:12:15: "b" is not defined under plugins`,
			`baton-host.yaml:12:21: plugins has "A" twice; leave one of them out`,
		}},
		"a key given twice": {`plugins:
  a: {}
  b:
    app: x
    app: y
    config:
      f: 1
      f: 2
      m: { k: 1, k: 2, 'a k': 1, 'a k': 2 }
  a: {}
`, []string{
			`baton-host.yaml:5:5: "app" is given twice, first on line 4`,
			`baton-host.yaml:8:7: "f" is given twice, first on line 7`,
			`baton-host.yaml:9:18: "k" is given twice, first on line 9`,
			`baton-host.yaml:9:34: this key is given twice, first on line 9`,
			`baton-host.yaml:10:3: "a" is given twice, first on line 2`,
		}},
		"a name that is not allowed": {`plugins:
  a.b: {}
  a/b: {}
  "a:b": {}
  -a: {}
  a_: {}
  "": {}
  "` + strings.Repeat("x", 65) + `": {}
  "` + strings.Repeat("y", 64) + `": {}
  0: {}
uploads:
  ../w: { plugins: [0] }
`, []string{
			`baton-host.yaml:2:3: the plugin name "a.b" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
			`baton-host.yaml:3:3: the plugin name "a/b" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
			`baton-host.yaml:4:3: the plugin name "a:b" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
			`baton-host.yaml:5:3: the plugin name "-a" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
			`baton-host.yaml:6:3: the plugin name "a_" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
			`baton-host.yaml:7:3: the plugin name "" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
			`baton-host.yaml:8:3: the plugin name "` + strings.Repeat("x", 64) + `…" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
			`baton-host.yaml:12:3: the upload name "../w" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
		}},
		"fields that do not fit": {`plugins:
  a:
    fields:
      token: { secret: true }
  b:
    unmodified: false
    fields: { token: }
  c:
    unmodified: true
    fields:
      token: { type: password, secret: maybe }
      token: {}
      count: { type: [int] }
      regions: { type: list }
      "--flag": {}
      "hunter2 hunter2": {}
      url: string
      host: { default: x }
  d: { unmodified: true, fields: [token] }
  e: { unmodified: true, fields: }
  f: { fields: {} }
`, []string{
			`baton-host.yaml:3:5: fields are for a connector that does not describe its own; write unmodified: true beside them, or leave fields out`,
			`baton-host.yaml:7:5: fields are for a connector that does not describe its own; write unmodified: true beside them, or leave fields out`,
			`baton-host.yaml:11:22: a field's type must be string, bool, int, string-list, map or file`,
			`baton-host.yaml:11:40: secret must be true or false`,
			`baton-host.yaml:12:7: "token" is given twice, first on line 11`,
			`baton-host.yaml:13:22: type must be a text, not a list or a mapping`,
			`baton-host.yaml:14:24: a field's type must be string, bool, int, string-list, map or file`,
			`baton-host.yaml:15:7: the name of a field is that of the connector's flag without the dashes: letters, digits, - . and _ only, at most 64 characters`,
			`baton-host.yaml:16:7: the name of a field is that of the connector's flag without the dashes: letters, digits, - . and _ only, at most 64 characters`,
			`baton-host.yaml:17:12: field "url" must be a mapping: each "key: value" on its own line`,
			`baton-host.yaml:18:15: unknown key "default"; field "host" takes required, secret, type`,
			`baton-host.yaml:19:34: fields must be a mapping: each "key: value" on its own line`,
			`baton-host.yaml:21:8: fields are for a connector that does not describe its own; write unmodified: true beside them, or leave fields out`,
		}},
		"an app that is not allowed": {`plugins:
  a: { app: ../bin/sh }
  b: { app: [scim] }
`, []string{
			`baton-host.yaml:2:13: the app "../bin/sh" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
			`baton-host.yaml:3:13: app must be a text, not a list or a mapping`,
		}},
		"a namespace": {`plugins:
  a: { namespace: a }
  b: { namespace: }
  c: { namespace: [] }
  d: { namespace: ~ }
  e: { namespace: '' }
`, []string{
			`baton-host.yaml:2:19: namespace can only be "" (written with the quotes), which leaves resource types without a prefix; otherwise the prefix is the plugin's name`,
			`baton-host.yaml:3:19: namespace can only be "" (written with the quotes), which leaves resource types without a prefix; otherwise the prefix is the plugin's name`,
			`baton-host.yaml:4:19: namespace can only be "" (written with the quotes), which leaves resource types without a prefix; otherwise the prefix is the plugin's name`,
			`baton-host.yaml:5:19: namespace can only be "" (written with the quotes), which leaves resource types without a prefix; otherwise the prefix is the plugin's name`,
		}},
		"a start time-out": {`plugins:
  a: { start-timeout: 10 }
  b: { start-timeout: 0s }
  c: { start-timeout: -1s }
  d: { start-timeout: 10m1s }
  e: { start-timeout: 10m }
  f: { start-timeout: }
`, []string{
			`baton-host.yaml:2:23: start-timeout must be a duration with its unit, such as 10s or 1m30s, at least 1ms and at most 10m`,
			`baton-host.yaml:3:23: start-timeout must be a duration with its unit, such as 10s or 1m30s, at least 1ms and at most 10m`,
			`baton-host.yaml:4:23: start-timeout must be a duration with its unit, such as 10s or 1m30s, at least 1ms and at most 10m`,
			`baton-host.yaml:5:23: start-timeout must be a duration with its unit, such as 10s or 1m30s, at least 1ms and at most 10m`,
		}},
		"a log level": {`plugins:
  a: { log-level: chatty, require-evidence: unproven }
  b: { log-level: [info] }
  c: { log-level: "${env:LEVEL}" }
  d: { log-level: fatal }
  e: { log-level: warn }
  f: { log-level: }
`, []string{
			`baton-host.yaml:2:19: log-level must be debug, info, warn or error`,
			`baton-host.yaml:2:45: require-evidence must be proven, or left out`,
			`baton-host.yaml:3:19: log-level must be a text, not a list or a mapping`,
			`baton-host.yaml:4:19: log-level takes no reference; references are resolved under config and notify, in client-id and in client-secret`,
			`baton-host.yaml:5:19: log-level must be debug, info, warn or error`,
		}},
		"names of variables": {`plugins:
  a:
    env: [A-B, X=1, X, X, "", null, [Y], "$X"]
`, []string{
			`baton-host.yaml:3:11: env takes names of environment variables (letters, digits and _), without values`,
			`baton-host.yaml:3:16: env takes names of environment variables (letters, digits and _), without values`,
			`baton-host.yaml:3:24: env has "X" twice; leave one of them out`,
			`baton-host.yaml:3:27: an item of env is empty`,
			`baton-host.yaml:3:31: an item of env is empty`,
			`baton-host.yaml:3:37: an item of env must be a text, not a list or a mapping`,
			`baton-host.yaml:3:42: env takes names of environment variables (letters, digits and _), without values`,
		}},
		"plugin directories that are no list": {`plugin-dirs: plugins
plugins: { a: }
`, []string{
			`baton-host.yaml:1:14: plugin-dirs must be a list: put [ ] around a single item, or each item on its own line after "- "`,
		}},
		"a reference where none is resolved": {`plugin-dirs: ["${env:X}"]
plugins:
  a:
    path: ${env:X}/y
    app: ${env:X}
`, []string{
			`baton-host.yaml:1:15: an item of plugin-dirs takes no reference; references are resolved under config and notify, in client-id and in client-secret`,
			`baton-host.yaml:4:11: path takes no reference; references are resolved under config and notify, in client-id and in client-secret`,
			`baton-host.yaml:5:10: app takes no reference; references are resolved under config and notify, in client-id and in client-secret`,
		}},
		"an empty text": {`plugin-dirs: [""]
plugins: { a: { app: "", path: "" } }
uploads: { w: { client-id: "", client-secret: "", plugins: [a] } }
`, []string{
			`baton-host.yaml:1:15: an item of plugin-dirs is empty`,
			`baton-host.yaml:2:22: app is empty`,
			`baton-host.yaml:2:32: path is empty`,
			`baton-host.yaml:3:28: client-id is empty`,
			`baton-host.yaml:3:47: client-secret is empty`,
		}},
		"no plugins key": {`uploads:
  w:
    plugins: [a]
`, []string{
			`baton-host.yaml:1:1: plugins is missing; the file must define at least one plugin`,
			`baton-host.yaml:3:15: "a" is not defined under plugins`,
		}},
		"no plugins": {"plugins:\n", []string{
			`baton-host.yaml:1:1: plugins is empty; define at least one plugin`,
		}},
		"no plugins in the mapping": {"plugins: {}\n", []string{
			`baton-host.yaml:1:1: plugins is empty; define at least one plugin`,
		}},
		"no plugins in a list": {"plugins: []\n", []string{
			`baton-host.yaml:1:1: plugins is empty; define at least one plugin`,
		}},
		"plugins as a list": {`plugins: [a]
uploads: [w]
`, []string{
			`baton-host.yaml:1:10: plugins must be a mapping: each "key: value" on its own line`,
			`baton-host.yaml:2:10: uploads must be a mapping: each "key: value" on its own line`,
		}},
		"a plugin that is no mapping": {`plugins:
  a: app:x
  b: [x]
`, []string{
			`baton-host.yaml:2:6: plugin "a" must be a mapping: each "key: value" on its own line`,
			`baton-host.yaml:3:6: plugin "b" must be a mapping: each "key: value" on its own line`,
		}},
		"a configuration that is no mapping": {`plugins:
  a:
    config: scim-token:hunter2
  b:
    config: [hunter2]
`, []string{
			`baton-host.yaml:3:13: config must be a mapping: each "key: value" on its own line`,
			`baton-host.yaml:5:13: config must be a mapping: each "key: value" on its own line`,
		}},
		"an upload without plugins": {`plugins: { a: }
uploads:
  w:
  v: { plugins: [] }
  u: { plugins: ~ }
  t: { plugins: a }
`, []string{
			`baton-host.yaml:3:3: upload "w" needs plugins: a list of at least one plugin name`,
			`baton-host.yaml:4:3: upload "v" needs plugins: a list of at least one plugin name`,
			`baton-host.yaml:5:3: upload "u" needs plugins: a list of at least one plugin name`,
			`baton-host.yaml:6:17: plugins must be a list: put [ ] around a single item, or each item on its own line after "- "`,
		}},
		"plugins of an upload": {`plugins: { fullstory: , scim: , Jira: }
uploads:
  w:
    plugins: [fulstory, scim, scim, zoom, [x], 7, Jira]
`, []string{
			`baton-host.yaml:1:33: the plugin name "Jira" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
			`baton-host.yaml:4:15: "fulstory" is not defined under plugins; did you mean "fullstory"?`,
			`baton-host.yaml:4:31: plugins has "scim" twice; leave one of them out`,
			`baton-host.yaml:4:37: "zoom" is not defined under plugins`,
			`baton-host.yaml:4:43: an item of plugins must be a text, not a list or a mapping`,
			`baton-host.yaml:4:48: "7" is not defined under plugins`,
		}},
		"half of the credentials": {`plugins: { a: }
uploads:
  w: { client-id: x, plugins: [a] }
  v: { client-secret: x, plugins: [a] }
  u: { client-secret: [x], client-id: {a: b}, plugins: [a] }
`, []string{
			`baton-host.yaml:3:8: upload "w" has client-id but no client-secret; give client-id and client-secret, or neither of them`,
			`baton-host.yaml:4:8: upload "v" has client-secret but no client-id; give client-id and client-secret, or neither of them`,
			`baton-host.yaml:5:23: client-secret must be a text, not a list or a mapping`,
			`baton-host.yaml:5:39: client-id must be a text, not a list or a mapping`,
		}},
		"credentials that C1 never gave out": {`plugins: { a: }
uploads:
  w: { plugins: [a], client-id: workforce, client-secret: "secret-token:conductorone.com:v1:eyJrdHkiOiJPS1AifQ" }
  v: { plugins: [a], client-id: n@h/u, client-secret: ` + c1Secret + ` }
  u: { plugins: [a], client-id: n@h/u, client-secret: ` + c1Secret + ` }
`, []string{
			`baton-host.yaml:3:33: client-id is not of the form name@tenant.conductor.one/use; copy it from C1 as it is`,
			`baton-host.yaml:3:59: client-secret is not one that C1 gives out, or not the whole of one; copy it from C1 as it is`,
			`baton-host.yaml:5:33: client-id is the one of upload "v"; each upload is its own connector in C1, with its own credentials`,
		}},
		"staleness, guards and provisioning": {`state-dir: [x]
plugins:
  a: { provisioning: maybe, change-guard: on, unmodified: 1 }
  b: { deletion-guard: { keep-percent: 0, min-missing: ten, keep: 5 } }
  c: { deletion-guard: { resource-types: { group: { keep-percent: 101 }, role: 5, seat: [x] }, window: 1m, attributes: ignore } }
  d: { change-guard: off, deletion-guard: { keep-percent: 50 } }
uploads:
  w: { plugins: [a], max-stale: 3 days }
  v: { plugins: [a], max-stale: 1s }
`, []string{
			`baton-host.yaml:1:12: state-dir must be a text, not a list or a mapping`,
			`baton-host.yaml:3:22: provisioning must be true or false`,
			`baton-host.yaml:3:43: change-guard must be "off", or a mapping with keep-percent, min-missing and window`,
			`baton-host.yaml:3:59: unmodified must be true or false`,
			`baton-host.yaml:4:40: keep-percent must be a whole number of at least 1 and at most 100`,
			`baton-host.yaml:4:56: min-missing must be a whole number of at least 1 and at most 1000000000`,
			`baton-host.yaml:4:61: unknown key "keep"; deletion-guard takes attributes, keep-percent, min-missing, resource-types, window`,
			`baton-host.yaml:5:67: keep-percent must be a whole number of at least 1 and at most 100`,
			`baton-host.yaml:5:80: the change-guard of resource type "role" must be "off", or a mapping with keep-percent and min-missing`,
			`baton-host.yaml:5:89: the change-guard of resource type "seat" must be a mapping: each "key: value" on its own line`,
			`baton-host.yaml:5:104: window must be a duration with its unit, such as 168h, at least 1h and at most 720h`,
			`baton-host.yaml:5:120: attributes must be "warn" or "refuse"`,
			`baton-host.yaml:6:27: change-guard and deletion-guard are two names of one key; give one of them`,
			`baton-host.yaml:8:33: max-stale must be a duration with its unit, such as 72h, at least 1m and at most 2160h`,
			`baton-host.yaml:9:33: max-stale must be a duration with its unit, such as 72h, at least 1m and at most 2160h`,
		}},
		"a sandbox": {`plugins:
  a: { sandbox: yes }
  b: { sandbox: { connect: [https, 0, 443, 443], read: /etc/krb5.conf, exec: [/bin] } }
  c: { sandbox: [x] }
`, []string{
			`baton-host.yaml:2:17: sandbox must be on, warn or off, or a mapping with read, write and connect`,
			`baton-host.yaml:3:29: an item of connect must be a whole number of at least 1 and at most 65535`,
			`baton-host.yaml:3:36: an item of connect must be a whole number of at least 1 and at most 65535`,
			`baton-host.yaml:3:44: connect has "443" twice; leave one of them out`,
			`baton-host.yaml:3:56: read must be a list: put [ ] around a single item, or each item on its own line after "- "`,
			`baton-host.yaml:3:72: unknown key "exec"; sandbox takes connect, read, write`,
			`baton-host.yaml:4:17: sandbox must be a mapping: each "key: value" on its own line`,
		}},
		"a path and a command": {`plugins:
  a: { path: x, command: [y] }
  b: { command: y }
  c: { command: [] }
  d: { command: ["${env:X}"] }
`, []string{
			`baton-host.yaml:2:17: path and command are two ways to say what is started; give one of them`,
			`baton-host.yaml:3:17: command must be a list: put [ ] around a single item, or each item on its own line after "- "`,
			`baton-host.yaml:4:8: command needs the program to start, and its arguments if there are any`,
			`baton-host.yaml:5:18: an item of command takes no reference; references are resolved under config and notify, in client-id and in client-secret`,
		}},
		"limits": {`plugins:
  a: { memory-limit: 512, max-page-size: 64MiB, call-timeout: 10 }
  b: { memory-limit: lots, max-page-size: 1KiB, call-timeout: 2h, restart-limit: -1 }
  c: { memory-limit: "-1GiB", idle-timeout: 0s, health-timeout: 1ms, restart-window: 25h, restart-limit: many }
  d: { memory-limit: [1GiB], max-page-size: 1e30GiB }
`, []string{
			`baton-host.yaml:2:22: memory-limit must be a size with its unit, such as 512MiB, at least 16 MiB and at most 1.0 TiB`,
			`baton-host.yaml:2:42: max-page-size must be a size with its unit, such as 8MiB, at least 64 KiB and at most 32 MiB`,
			`baton-host.yaml:2:63: call-timeout must be a duration with its unit, such as 10m, at least 1s and at most 1h`,
			`baton-host.yaml:3:22: memory-limit must be a size with its unit, such as 512MiB, at least 16 MiB and at most 1.0 TiB`,
			`baton-host.yaml:3:43: max-page-size must be a size with its unit, such as 8MiB, at least 64 KiB and at most 32 MiB`,
			`baton-host.yaml:3:63: call-timeout must be a duration with its unit, such as 10m, at least 1s and at most 1h`,
			`baton-host.yaml:3:82: restart-limit must be a whole number of at least 0 and at most 1000`,
			`baton-host.yaml:4:22: memory-limit must be a size with its unit, such as 512MiB, at least 16 MiB and at most 1.0 TiB`,
			`baton-host.yaml:4:45: idle-timeout must be a duration with its unit, such as 30m, at least 1s and at most 24h`,
			`baton-host.yaml:4:65: health-timeout must be a duration with its unit, such as 20s, at least 100ms and at most 10m`,
			`baton-host.yaml:4:86: restart-window must be a duration with its unit, such as 10m, at least 1s and at most 24h`,
			`baton-host.yaml:4:106: restart-limit must be a whole number of at least 0 and at most 1000`,
			`baton-host.yaml:5:22: memory-limit must be a text, not a list or a mapping`,
			`baton-host.yaml:5:45: max-page-size must be a size with its unit, such as 8MiB, at least 64 KiB and at most 32 MiB`,
		}},
		"what to do when a plugin fails": {`plugins: { a: }
uploads:
  w: { plugins: [a], on-plugin-failure: last-good }
  v: { plugins: [a], on-plugin-failure: ignore }
  u: { plugins: [a], on-plugin-failure: [fail] }
`, []string{
			`baton-host.yaml:4:41: on-plugin-failure must be "fail" or "last-good"`,
			`baton-host.yaml:5:41: on-plugin-failure must be a text, not a list or a mapping`,
		}},
		"a key that is no text": {`plugins:
  ? [a]
  : {}
  ~: {}
  1.5: {}
`, []string{
			`baton-host.yaml:2:5: a key must be a text`,
			`baton-host.yaml:4:3: a key must be a text`,
			`baton-host.yaml:5:3: the plugin name "1.5" is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most 64 characters`,
		}},
		"anchors, aliases, tags and merge keys": {`plugins:
  a: &x { app: scim }
  b: *x
  c:
    <<: *x
  d:
    app: !!str scim
  e: !custom {}
`, []string{
			`baton-host.yaml:2:6: anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes`,
			`baton-host.yaml:3:6: anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes`,
			`baton-host.yaml:5:5: merge keys are not supported; write the keys out`,
			`baton-host.yaml:5:9: anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes`,
			`baton-host.yaml:7:10: tags are not supported; leave the tag out, and put a value that begins with ! in quotes`,
			`baton-host.yaml:8:6: tags are not supported; leave the tag out, and put a value that begins with ! in quotes`,
		}},
		"an alias bomb": {`plugins:
  p:
    config:
      a: &a [x, x]
      b: &b [*a, *a]
      c: [*b, *b]
`, []string{
			`baton-host.yaml:4:10: anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes`,
			`baton-host.yaml:5:10: anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes`,
			`baton-host.yaml:5:14: anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes`,
			`baton-host.yaml:5:18: anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes`,
			`baton-host.yaml:6:11: anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes`,
			`baton-host.yaml:6:15: anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes`,
		}},
		"deep nesting": {"plugins:\n  a:\n    config:\n      f: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "\n", []string{
			`baton-host.yaml:4:38: this is nested too deeply`,
		}},
		"references that do not resolve": {`plugins:
  a:
    config:
      unset: x-${env:UNSET}-${env:UNSET2}
      nested: { list: ["${file:no/such}", {deeper: "${file:/no/such}"}] }
      unclosed: a${env:X
      scheme: ${vault:secret/hunter2}
      bare: p${hunter2}
      name: ${env:my-name}
      no-name: ${env:}
      no-path: ${file:}
      directory: ${file:.}
      block: |
        ${env:UNSET}
uploads:
  w:
    client-id: ${env:UNSET}
    client-secret: ${file:.}
    plugins: [a]
`, []string{
			`baton-host.yaml:4:14: ${env:UNSET}: the environment variable is not set`,
			`baton-host.yaml:4:14: ${env:UNSET2}: the environment variable is not set`,
			`baton-host.yaml:5:24: ${file:no/such}: the file does not exist; a relative path starts at the directory of the configuration`,
			`baton-host.yaml:5:52: ${file:/no/such}: the file does not exist`,
			`baton-host.yaml:6:17: a reference is not closed: "}" is missing; write $${ for a literal ${`,
			`baton-host.yaml:7:15: unknown reference: write ${env:NAME}, ${file:PATH}, ${exec:HELPER …} or ${STORE:…} of a store under secret-stores, and $${ for a literal ${`,
			`baton-host.yaml:8:13: unknown reference: write ${env:NAME}, ${file:PATH}, ${exec:HELPER …} or ${STORE:…} of a store under secret-stores, and $${ for a literal ${`,
			`baton-host.yaml:9:13: ${env:NAME} takes the name of an environment variable: letters, digits and _`,
			`baton-host.yaml:10:16: ${env:NAME} takes the name of an environment variable: letters, digits and _`,
			`baton-host.yaml:11:16: ${file:PATH} takes the path of a file`,
			`baton-host.yaml:12:18: ${file:.}: this is a directory, not a file`,
			`baton-host.yaml:13:14: ${env:UNSET}: the environment variable is not set`,
			`baton-host.yaml:17:16: ${env:UNSET}: the environment variable is not set`,
			`baton-host.yaml:18:20: ${file:.}: this is a directory, not a file`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, dir, err := load(t, test.yaml, nil)
			var problems settings.Problems
			require.ErrorAs(t, err, &problems)
			require.Len(t, problems, len(test.want))
			require.Equal(t, test.want, messages(dir, err))
		})
	}
}

func TestLoad_ReportsWhyAFileCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := config.Load(t.Context(), filepath.Join(dir, "no.yaml"))
	require.Equal(t, []string{"no.yaml: there is no such file; say where the configuration is with --config FILE, or write one with baton-host init"}, messages(dir, err))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "d"), 0o700))
	_, err = config.Load(t.Context(), filepath.Join(dir, "d"))
	require.Equal(t, []string{"d: this is a directory, not a file"}, messages(dir, err))
}

func TestLoad_AcceptsAByteOrderMarkAndCarriageReturns(t *testing.T) {
	t.Parallel()
	loaded, _, err := load(t, "\xef\xbb\xbfplugins:\r\n  a:\r\n    app: scim\r\n", nil)
	require.NoError(t, err)
	require.Equal(t, "scim", loaded.Plugins[0].App)
}

func TestProblems_PrintInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	problems := settings.Problems{
		{File: "b", Line: 1, Column: 1, Message: "third"},
		{File: "a", Line: 10, Column: 1, Message: "second"},
		{File: "a", Line: 9, Column: 12, Message: "first\x1b[31m\nof all"},
		{File: "a", Message: "whole file"},
		{Message: "no file"},
	}
	require.EqualError(t, problems, "no file\na: whole file\na:9:12: first [31m of all\na:10:1: second\nb:1:1: third")
	require.Equal(t, "third", problems[0].Message)
	require.ErrorAs(t, problems.Err(), new(settings.Problems))
	require.NoError(t, settings.Problems{}.Err())
}

func TestLoad_ReportsThousandsOfProblems(t *testing.T) {
	t.Parallel()
	const count = 1000
	var keys, names strings.Builder
	for i := range count {
		fmt.Fprintf(&keys, "    pathh%d: x\n", i)
		fmt.Fprintf(&names, "    - aa%d\n", i)
	}
	_, _, err := load(t, "plugins:\n  a:\n"+keys.String()+"uploads:\n  w:\n    plugins:\n"+names.String(), nil)
	var problems settings.Problems
	require.ErrorAs(t, err, &problems)
	require.Len(t, problems, 2*count)
	require.Equal(t, count, strings.Count(err.Error(), "unknown key"))
	require.Equal(t, count, strings.Count(err.Error(), "is not defined under plugins"))
}
