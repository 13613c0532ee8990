package config

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/state/objects"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

//go:generate go run ./schema/gen

// NameForm is the form of the names of plugins, apps and uploads, as a regular
// expression of RE2 and of JSON Schema. They become parts of resource type ids and of
// file names.
const NameForm = `^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$`

// MaxName is the greatest length of such a name, in bytes.
const MaxName = settings.MaxName

// FieldForm is the form of the names of a connector's fields, which are flags of its
// command line.
const FieldForm = `^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`

const (
	second   = int64(time.Second)
	minute   = int64(time.Minute)
	hour     = int64(time.Hour)
	mebibyte = int64(1 << 20)
)

// Names of keys that other code speaks of.
const (
	NamePluginDirs    = "plugin-dirs"
	NamePlugins       = "plugins"
	NameUploads       = "uploads"
	NameApp           = "app"
	NamePath          = "path"
	NameCommand       = "command"
	NameConfig        = "config"
	NameFields        = "fields"
	NameUploadPlugins = "plugins"
	NameClientID      = "client-id"
	NameClientSecret  = "client-secret"
	NameHelpers       = "secret-helpers"
	NameState         = "state"
	NameStores        = "secret-stores"

	NamePluginStore    = "plugin-store"
	NamePluginReleases = "plugin-releases"
	NameTrust          = "trust"
	NameVersion        = "version"
	NameImage          = "image"

	// WithoutProvenance is the only value of provenance.
	WithoutProvenance = "none"

	// RequireProven is the only value of require-evidence.
	RequireProven = "proven"

	// SandboxOn, SandboxWarn and SandboxOff are the values of sandbox.
	SandboxOn   = "on"
	SandboxWarn = "warn"
	SandboxOff  = off

	// KeepAuto and KeepAlways are the values of keep-running.
	KeepAuto   = "auto"
	KeepAlways = "always"

	// JoinWhenReady and WaitForNew are the values of new-plugin.
	JoinWhenReady = "join-when-ready"
	WaitForNew    = "wait"

	nameProvenance    = "provenance"
	nameUnmodified    = "unmodified"
	nameChangeGuard   = "change-guard"
	nameMinMissing    = "min-missing"
	nameResourceTypes = "resource-types"
	nameSandbox       = "sandbox"
	off               = "off"
	refuse            = "refuse"
)

// KeyFile is the file itself, the others are its sections: what can stand in a file, for
// those who describe it.
var (
	KeyFile    = Key{Kind: KindSection, Keys: keysOf(fileRows)}
	KeyPlugins = Key{
		Name: NamePlugins, Kind: KindNamed, Placeholder: "NAME", Names: NameForm, Required: true, Keys: keysOf(pluginRows),
		Meaning: "the plugins, by instance name. A name is permanent: it becomes part of every id, `fullstory.user`",
	}
	KeyUploads = Key{
		Name: NameUploads, Kind: KindNamed, Placeholder: "NAME", Names: NameForm, Keys: keysOf(uploadRows),
		Meaning: "the uploads, by name: each is one sync file, `NAME.c1z`, or one connector of C1",
	}
	KeyHelpers = Key{
		Name: NameHelpers, Kind: KindNamed, Placeholder: "NAME", Names: NameForm, Keys: keysOf(helperRows),
		Meaning: "programs that return a secret, by name: `${exec:NAME ARGUMENTS}`",
	}
	KeyStores = Key{
		Name: NameStores, Kind: KindNamed, Placeholder: "NAME", Names: NameForm, Keys: keysOf(storeRows),
		Meaning: "stores of secrets, by name: `${NAME:…}`. What they refer to is in `env`, `file` or `keyring`",
	}
)

// The rows: a key of the file, and the field of the result that its value is read
// into. A row of elsewhere is read by the code of its section, because it needs more
// than its own value.

var fileRows = []row[Config]{
	paths(Key{
		Name:    NamePluginDirs,
		Meaning: "directories to look for plugin binaries in, before the host's own and `PATH`, from the directory of this file; `--plugin-dir` comes first",
	}, func(c *Config) *[]string { return &c.PluginDirs }),
	path(Key{
		Name: NamePluginStore, Example: "/var/lib/baton-host/plugins",
		Meaning: "where `baton-host install` puts connectors and where they are started from, from the directory of this file. Default: `~/.local/share/baton-host/plugins`, or below `$XDG_DATA_HOME`",
	}, func(c *Config) *string { return &c.PluginStore }),
	patterned(Key{
		Name: NamePluginReleases, Pattern: releasesForm, Default: "https://dist.conductorone.com/releases/ConductorOne",
		Meaning: "the URL below which the releases of connectors are, `https`; `http` only on this machine: `<connector>/<version>/manifest.json`",
	}, "the URL of a directory, such as https://dist.example.com/releases", func(c *Config) *string { return &c.PluginReleases }),
	special(Key{
		Name: NameTrust, Kind: KindSection, Keys: keysOf(trustRows),
		Meaning: "whose connectors `baton-host install` takes: all of this must hold at once. Default: what ConductorOne's own workflow for releases has built from ConductorOne's repository of that connector",
	}, func(l *loader, e entry, c *Config) { section(l, e.value, NameTrust, "", trustRows, &c.Trust) }),
	path(Key{
		Name:    "state-dir",
		Meaning: "where `run` keeps the baselines, from the directory of this file; `--state-dir` wins. Without it: `$STATE_DIRECTORY`, else the user's own directory for state",
		Example: "/var/lib/baton-host",
	}, func(c *Config) *string { return &c.StateDir }),
	plain(Key{
		Name: NameState, Example: "s3://baton-state/production?region=eu-central-1",
		Meaning: "where hosts that serve the same uploads share what `run` keeps: a bucket, `s3://BUCKET/PREFIX?region=REGION`, with `&endpoint=https://HOST` for a server that is not AWS; or a directory of a shared file system, from the directory of this file. Each host has a copy in its state directory. Default: nothing is shared",
	}, func(l *loader, n *yaml.Node, text string, c *Config) {
		location, err := objects.Parse(text, l.dir)
		if err != nil {
			l.report(n, "%s %s", NameState, err)
			return
		}
		c.State = &location
	}),
	whole(Key{
		Name: "max-running", Least: 1, Most: 10_000, Example: "64",
		Meaning: "how many plugins run at the same time, at most; one that is called while so many run waits until another has nothing to do. Plugins with `keep-running: always` count, and leave at least one place to the others. Raise it for many slow apps, where there is memory for more processes. Default: 16 for each core, and no more than half of the memory has room for at 32 MiB each, but 4",
	}, func(c *Config) *int { return &c.MaxRunning }),
	elsewhere[Config](KeyPlugins),
	elsewhere[Config](KeyUploads),
	elsewhere[Config](KeyHelpers),
	elsewhere[Config](KeyStores),
	special(Key{
		Name: NameNotify, Kind: KindSection, Keys: keysOf(notifyRows),
		Meaning: "a webhook for what needs a person: an upload that fails or is stale, a change that the guard refuses, a plugin that fails, a credential that expires ([events](operations.md#events))",
	}, (*loader).notify),
}

// startedTwice is why path, command, version and image exclude each other.
const startedTwice = "two ways to say what is started"

var pluginRows = []row[Plugin]{
	name(Key{
		Name: NameApp, Example: "scim",
		Meaning: "which app; the binary is `baton-<app>`. Default: the instance name",
	}, func(p *Plugin) *string { return &p.App }),
	path(Key{
		Name: NamePath, Excludes: []string{NameCommand, NameVersion, NameImage}, Because: startedTwice, Example: "./bin/baton-scim",
		Meaning: "the plugin binary itself, from the directory of this file, instead of looking it up",
	}, func(p *Plugin) *string { return &p.Path }),
	special(Key{
		Name: NameCommand, Kind: KindWords, Excludes: []string{NameVersion, NameImage}, Because: startedTwice, Example: "[python3, plugin.py]",
		Meaning: "the program and its arguments as a list, instead of `path`. Paths of existing files are taken from the directory of this file",
	}, (*loader).command),
	patterned(Key{
		Name: NameVersion, Excludes: []string{NameImage}, Because: startedTwice, Pattern: versionForm, Example: "v0.2.41",
		Meaning: "the release of the connector `baton-<app>` to start, by its tag. `baton-host install` installs it, and a lock file has it",
	}, "the tag of a release, such as v0.2.41", func(p *Plugin) *string { return &p.Version }),
	patterned(Key{
		Name: NameImage, Pattern: imageForm, Example: "public.ecr.aws/conductorone/baton-github:v0.2.41",
		Meaning: "the image with the connector to start, by tag or by digest (`@sha256:…`), instead of `version`. Without `app`, its name says which",
	}, "a registry, a repository and a tag or a digest, such as public.ecr.aws/conductorone/baton-github:v0.2.41", func(p *Plugin) *string { return &p.Image }),
	choice(Key{
		Name: nameProvenance, Allowed: []string{WithoutProvenance},
		Meaning: "`none` takes a `version` or an `image` that is not signed: nothing shows then who built it from what, and the lock file says so. Default: it must be signed as `trust` says",
	}, func(p *Plugin) *string { return &p.Provenance }),
	yesOrNo(Key{
		Name: nameUnmodified, Default: "false",
		Meaning: "`true` says that what is started is a Baton connector which knows no host, where that cannot be read from the binary (behind a script, say)",
	}, func(p *Plugin) *bool { return &p.Unmodified }),
	special(Key{
		Name: NameFields, Kind: KindNamed, Placeholder: "FIELD", Names: FieldForm, Needs: nameUnmodified, Keys: keysOf(fieldRows),
		Meaning: "the fields of an unmodified connector that does not describe them itself: one that is built with baton-sdk before v0.2.68; `baton-host inspect` prints an entry to copy",
	}, (*loader).fields),
	elsewhere[Plugin](Key{
		Name: NameConfig, Kind: KindFields, References: true,
		Meaning: "the plugin's own fields; `baton-host inspect APP` shows them",
	}),
	special(Key{
		Name: "namespace", Kind: KindChoice, Allowed: []string{""}, Example: `""`,
		Meaning: "`\"\"` leaves this plugin's ids without the prefix, to take over from a stand-alone connector in place. Default: the instance name is the prefix",
	}, (*loader).namespace),
	variableNames(Key{
		Name: "env", Example: "[AWS_REGION]",
		Meaning: "names of environment variables that the plugin may see beyond `PATH`, `HOME`, proxies and certificates",
	}, func(p *Plugin) *[]string { return &p.Env }),
	choice(Key{
		Name: "log-level", Allowed: []string{"debug", "info", "warn", "error"},
		Meaning: "what is logged of this plugin, whatever the host's own level is (also where a command logs nothing else). Default: the host's level",
	}, func(p *Plugin) *string { return &p.LogLevel }),
	duration(Key{
		Name: "start-timeout", Default: "10s", Least: int64(time.Millisecond), Most: 10 * minute, Example: "10s or 1m30s",
		Meaning: "how long the plugin may take to start. To take its configuration it has a minute, or this where it is longer",
	}, func(p *Plugin) *time.Duration { return &p.StartTimeout }),
	choice(Key{
		Name: "keep-running", Allowed: []string{KeepAuto, KeepAlways}, Default: KeepAuto,
		Meaning: "`auto` ends the plugin's process where it has had nothing to do for 10 minutes, or another plugin waits for its place (`max-running`), and starts it for the next call; `always` keeps it running",
	}, func(p *Plugin) *string { return &p.KeepRunning }),
	size(Key{
		Name: "memory-limit", Least: 16 * mebibyte, Most: mebibyte * mebibyte, Example: "512MiB",
		Meaning: "how much memory the plugin's processes may take, beyond which it is ended and started again. Default: no limit",
	}, func(p *Plugin) *uint64 { return &p.Limits.Memory }),
	duration(Key{
		Name: "call-timeout", Default: "10m", Least: second, Most: hour, Example: "10m",
		Meaning: "how long one call may take before the plugin counts as hanging; waits for the app's rate limit are between calls",
	}, func(p *Plugin) *time.Duration { return &p.Limits.CallTimeout }),
	duration(Key{
		Name: "idle-timeout", Default: "30m", Least: second, Most: 24 * hour, Example: "30m",
		Meaning: "how long a listing may go on without a row",
	}, func(p *Plugin) *time.Duration { return &p.Limits.IdleTimeout }),
	duration(Key{
		Name: "health-timeout", Default: "20s", Least: second / 10, Most: 10 * minute, Example: "20s",
		Meaning: "how long the plugin may leave a health check unanswered or take no connection",
	}, func(p *Plugin) *time.Duration { return &p.Limits.HealthTimeout }),
	size(Key{
		Name: "max-page-size", Default: "32MiB", Least: mebibyte / 16, Most: mostPageSize, Example: "8MiB",
		Meaning: "the greatest page",
	}, func(p *Plugin) *int { return &p.Limits.PageSize }),
	whole(Key{
		Name: "read-ahead", Default: "1", Least: 0, Most: 2,
		Meaning: "how many pages the plugin is asked for while the host stores another; each is held in memory, and `0` asks for one after the other",
	}, func(p *Plugin) *int { return &p.Limits.ReadAhead }),
	whole(Key{
		Name: "concurrency", Least: 1, Most: 64,
		Meaning: "how many listings of the plugin are read at the same time, over all syncs; raise it only if the connector's pages do not depend on each other. Default: what the plugin declares, else 1: one listing is read to its end before another begins",
	}, func(p *Plugin) *int { return &p.Limits.Concurrency }),
	whole(Key{
		Name: "max-rows", Default: "20000000", Least: 1, Most: 1_000_000_000,
		Meaning: "how many rows one listing may have before it is taken for one that never ends",
	}, func(p *Plugin) *int { return &p.Limits.MaxRows }),
	whole(Key{
		Name: "restart-limit", Default: "5", Least: 0, Most: 1000,
		Meaning: "how often a plugin that ends is started again within `restart-window` before it has failed; `0` never",
	}, func(p *Plugin) *int { return &p.Limits.Restarts }),
	duration(Key{
		Name: "restart-window", Default: "10m", Least: second, Most: 24 * hour, Example: "10m",
		Meaning: "the time within which restarts are counted",
	}, func(p *Plugin) *time.Duration { return &p.Limits.RestartWindow }),
	yesOrNo(Key{
		Name: "provisioning", Default: "false",
		Meaning: "`true` lets C1 change something in the app; without it everything that would is refused",
	}, func(p *Plugin) *bool { return &p.Provisioning }),
	special(Key{
		Name: nameSandbox, Kind: KindSection, Allowed: sandboxModes, Keys: keysOf(sandboxRows),
		Meaning: "whether the plugin's processes are kept from what is not theirs (Linux): `on`, or a mapping with what they may reach beside what every program needs; `warn` not, but what they would be denied is reported where the kernel can; `off` not, and then they can read what this user can, the secrets of all plugins among it. Default: `on`, for an unmodified connector `warn`, and `off` where there is no sandbox (macOS, Windows)",
	}, (*loader).sandbox),
	choice(Key{
		Name: "require-evidence", Allowed: []string{RequireProven},
		Meaning: "`proven` lets a listing fail that the connector does not report to be proven complete. Default: such a listing passes, and is shown",
	}, func(p *Plugin) *string { return &p.RequireEvidence }),
	special(Key{
		Name: nameChangeGuard, Formerly: "deletion-guard", Kind: KindSection, Allowed: []string{off}, Keys: keysOf(allGuardRows),
		Meaning: "when a plugin of which too much has changed since the syncs before counts as failed: resources, accounts, entitlements or grants that are gone, ids that were exchanged, accounts that were disabled; if none is left, it always does. `off` switches it off",
	}, (*loader).changeGuard),
}

// sandboxModes are what can stand in the place of what a plugin may reach.
var sandboxModes = []string{SandboxOn, SandboxWarn, SandboxOff}

var sandboxRows = []row[Sandbox]{
	paths(Key{
		Name: "read", Example: "[/etc/krb5.conf, /opt/java]",
		Meaning: "files and directories that the plugin may read, and programs in them that it may execute, from the directory of this file",
	}, func(s *Sandbox) *[]string { return &s.Read }),
	paths(Key{
		Name: "write", Example: "[/var/cache/design-tool]",
		Meaning: "files and directories that it may read and write, from the directory of this file; its scratch directory needs no mention",
	}, func(s *Sandbox) *[]string { return &s.Write }),
	wholes(Key{
		Name: "connect", Least: 1, Most: 65535, Example: "[443, 636]",
		Meaning: "the only TCP ports that it may connect to, from Linux 6.7 on, beside that of DNS (53). Name that of the proxy too, and that of a collector of traces. Default: all",
	}, func(s *Sandbox) *[]int { return &s.Connect }),
}

// fieldRows are those of a field. FieldTypes has the names of its types.
var fieldRows = []row[pluginv1.Field]{
	special(Key{
		Name: "type", Kind: KindChoice, Allowed: FieldTypes, implied: FieldTypes[0],
		Meaning: "what its value is; the path of a file is a `string`, and of a `file` the connector is given the content, at a path. Default: `string`",
	}, (*loader).fieldType),
	yesOrNo(Key{
		Name:    "secret",
		Meaning: "`true` keeps its value out of logs and errors. Default: `false`",
	}, func(f *pluginv1.Field) *bool { return &f.Secret }),
	yesOrNo(Key{
		Name:    "required",
		Meaning: "`true` refuses a configuration without it. Default: `false`",
	}, func(f *pluginv1.Field) *bool { return &f.Required }),
}

// mostPageSize is what the wire between host and plugin carries, in bytes.
const mostPageSize = 32 << 20

// usualMinMissing is the default of min-missing, which its Meaning has to explain.
const usualMinMissing = "10"

var limitRows = []row[GuardLimits]{
	whole(Key{
		Name: "keep-percent", Default: "50", Least: 1, Most: 100,
		Meaning: "it fails only below this share of what there was, in percent; a list that had fewer than 20 fails at half of it too (at this share, where that is less)",
	}, func(d *GuardLimits) *int { return &d.KeepPercent }),
	whole(Key{
		Name: nameMinMissing, implied: usualMinMissing, Least: 1, Most: 1_000_000_000,
		Meaning: "and only if at least this many are missing, but always if none is left. Default: " + usualMinMissing + "; for a list that had fewer than 20, 1",
	}, func(d *GuardLimits) *int { return &d.MinMissing }),
}

// guardRows are those of the guard beside its limits.
var guardRows = []row[ChangeGuard]{
	duration(Key{
		Name: "window", Default: "168h", Least: hour, Most: 30 * 24 * hour, Example: "168h",
		Meaning: "how far back: what is left is compared with the highest number of this time, not with the last sync alone",
	}, func(g *ChangeGuard) *time.Duration { return &g.Window }),
	special(Key{
		Name: "attributes", Kind: KindChoice, Allowed: []string{"warn", refuse}, Default: "warn",
		Meaning: "what accounts mean that lose their e-mail addresses, logins or names in such numbers: a warning, or a failure",
	}, (*loader).lostAttributes),
	elsewhere[ChangeGuard](Key{
		Name: nameResourceTypes, Kind: KindNamed, Placeholder: "TYPE", Allowed: []string{off}, Keys: withoutDefaults(keysOf(limitRows)),
		Meaning: "other numbers for one resource type, by the plugin's own id, or `off`. Default: those of the guard; `off` for a type that the connector marks with `SkipSyncAnomalyDetection`",
	}),
}

// allGuardRows are those of the guard with its limits, which are read by themselves.
var allGuardRows = slices.Concat(known[ChangeGuard](limitRows), guardRows)

// known are the rows of a part of a section, which the section's own code reads.
func known[Section, Part any](rows []row[Part]) []row[Section] {
	var all []row[Section]
	for _, row := range rows {
		all = append(all, elsewhere[Section](row.Key))
	}
	return all
}

var uploadRows = []row[Upload]{
	elsewhere[Upload](Key{
		Name: NameUploadPlugins, Kind: KindTexts, Names: NameForm, Required: true, Example: "[fullstory, design-tool]",
		Meaning: "the plugins of this upload, by instance name",
	}),
	elsewhere[Upload](Key{
		Name: NameClientID, Needs: NameClientSecret, References: true, Example: "${env:WORKFORCE_CLIENT_ID}",
		Meaning: "the upload's client id at C1, for `run`; `sync` does not need it. The only upload without one takes `BATON_CLIENT_ID` and `BATON_CLIENT_SECRET`",
	}),
	elsewhere[Upload](Key{
		Name: NameClientSecret, Needs: NameClientID, References: true, Example: "${file:/run/secrets/workforce}",
		Meaning: "the secret that goes with `client-id`",
	}),
	special(Key{
		Name: "on-plugin-failure", Kind: KindChoice, Allowed: []string{"fail", "last-good"}, Default: "fail",
		Meaning: "`fail`: if one plugin cannot be read completely, there is no file. `last-good`: it falls back to its part of the baseline",
	}, (*loader).onPluginFailure),
	duration(Key{
		Name: "max-stale", Default: "72h", Least: minute, Most: 90 * 24 * hour, Example: "72h",
		Meaning: "how old such answers may be",
	}, func(u *Upload) *time.Duration { return &u.MaxStale }),
	choice(Key{
		Name: "new-plugin", Allowed: []string{WaitForNew, JoinWhenReady}, Default: JoinWhenReady, Example: WaitForNew,
		Meaning: "what `last-good` does with a plugin that fails and that the baseline has nothing of. `join-when-ready`: the sync goes without it, and is marked incomplete. `wait`: there is no file",
	}, func(u *Upload) *string { return &u.NewPlugin }),
}

func withoutDefaults(keys []Key) []Key {
	for i := range keys {
		keys[i].Default = ""
	}
	return keys
}
