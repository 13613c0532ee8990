package keys

import (
	"time"

	"github.com/batonhost/baton-host/host/internal/secret"
)

//go:generate go run ./gen

// NameForm is the form of the names of plugins, apps and uploads, as a regular
// expression of RE2 and of JSON Schema. They become parts of resource type ids and of
// file names.
const NameForm = `^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$`

// MaxName is the greatest length of such a name, in bytes.
const MaxName = 64

const (
	second   = int64(time.Second)
	minute   = int64(time.Minute)
	hour     = int64(time.Hour)
	mebibyte = int64(1 << 20)
)

// File is the file itself.
var File = Key{Kind: Section, Keys: []Key{PluginDirs, StateDir, Plugins, Uploads}}

// The keys of the file.
var (
	PluginDirs = Key{
		Name: "plugin-dirs", Kind: Texts,
		Meaning: "directories to look for plugin binaries in, before the host's own and `PATH`, from the directory of this file; `--plugin-dir` comes first",
	}
	StateDir = Key{
		Name:    "state-dir",
		Meaning: "where `run` keeps the last good syncs, from the directory of this file; `--state-dir` wins. Without it: `$STATE_DIRECTORY`, else the user's own directory for state",
		Example: "/var/lib/baton-host",
	}
	Plugins = Key{
		Name: "plugins", Kind: Named, Placeholder: "NAME", Names: NameForm, Required: true,
		Meaning: "the plugins, by instance name. A name is permanent: it becomes part of every id, `fullstory.user`",
		Keys: []Key{
			App, Path, Command, Unmodified, Config, Namespace, Env, LogLevel, StartTimeout, MemoryLimit, CallTimeout,
			IdleTimeout, HealthTimeout, MaxPageSize, ReadAhead, Concurrency, MaxRows, RestartLimit, RestartWindow, Provisioning, Guard,
		},
	}
	Uploads = Key{
		Name: "uploads", Kind: Named, Placeholder: "NAME", Names: NameForm,
		Meaning: "the uploads, by name: each is one sync file, `NAME.c1z`, or one connector of C1",
		Keys:    []Key{UploadPlugins, ClientID, ClientSecret, OnPluginFailure, MaxStale},
	}
)

// The keys of a plugin.
var (
	App = Key{
		Name: "app", Names: NameForm, Example: "scim",
		Meaning: "which app; the binary is `baton-<app>`. Default: the instance name",
	}
	Path = Key{
		Name: "path", Excludes: "command", Example: "./bin/baton-scim",
		Meaning: "the plugin binary itself, from the directory of this file, instead of looking it up",
	}
	Command = Key{
		Name: "command", Kind: Words, Example: "[python3, plugin.py]",
		Meaning: "the program and its arguments as a list, instead of `path`. Paths of existing files are taken from the directory of this file",
	}
	Unmodified = Key{
		Name: "unmodified", Kind: Switch, Default: "false",
		Meaning: "`true` says that what is started is a Baton connector which knows no host, where that cannot be told from the binary (behind a script, say)",
	}
	Config = Key{
		Name: "config", Kind: Fields, References: true,
		Meaning: "the plugin's own fields; `baton-host inspect APP` shows them",
	}
	Namespace = Key{
		Name: "namespace", Kind: Choice, Allowed: []string{""}, Example: `""`,
		Meaning: "`\"\"` leaves this plugin's ids without the prefix, to take over from a stand-alone connector in place. Default: the instance name is the prefix",
	}
	Env = Key{
		Name: "env", Kind: Texts, Names: secret.VariableForm, Example: "[AWS_REGION]",
		Meaning: "names of environment variables that the plugin may see beyond `PATH`, `HOME`, proxies and certificates",
	}
	LogLevel = Key{
		Name: "log-level", Kind: Choice, Allowed: []string{"debug", "info", "warn", "error"},
		Meaning: "what is logged of this plugin, whatever the host's own level is (also where a command logs nothing else). Default: the host's level",
	}
	StartTimeout = Key{
		Name: "start-timeout", Kind: Duration, Default: "10s", Least: int64(time.Millisecond), Most: 10 * minute, Example: "10s or 1m30s",
		Meaning: "how long the plugin may take to start. To take its configuration it has a minute, or this where it is longer",
	}
	MemoryLimit = Key{
		Name: "memory-limit", Kind: Size, Least: 16 * mebibyte, Most: mebibyte * mebibyte, Example: "512MiB",
		Meaning: "how much memory the plugin's processes may take, beyond which it is ended and started again. Default: no limit",
	}
	CallTimeout = Key{
		Name: "call-timeout", Kind: Duration, Default: "10m", Least: second, Most: hour, Example: "10m",
		Meaning: "how long one call may take before the plugin counts as hanging; waits for the app's rate limit are between calls",
	}
	IdleTimeout = Key{
		Name: "idle-timeout", Kind: Duration, Default: "30m", Least: second, Most: 24 * hour, Example: "30m",
		Meaning: "how long a listing may go on without a row",
	}
	HealthTimeout = Key{
		Name: "health-timeout", Kind: Duration, Default: "20s", Least: second / 10, Most: 10 * minute, Example: "20s",
		Meaning: "how long the plugin may leave a health check unanswered or take no connection",
	}
	MaxPageSize = Key{
		Name: "max-page-size", Kind: Size, Default: "32MiB", Least: mebibyte / 16, Most: MostPageSize, Example: "8MiB",
		Meaning: "the greatest page",
	}
	ReadAhead = Key{
		Name: "read-ahead", Kind: Whole, Default: "1", Least: 0, Most: 2,
		Meaning: "how many pages the plugin is asked for while the host stores another; each is held in memory, and `0` asks for one after the other",
	}
	Concurrency = Key{
		Name: "concurrency", Kind: Whole, Least: 1, Most: 64,
		Meaning: "how many listings of the plugin are read at the same time, over all syncs; raise it only if the connector's pages do not depend on each other. Default: what the plugin declares, else 1: one listing is read to its end before another begins",
	}
	MaxRows = Key{
		Name: "max-rows", Kind: Whole, Default: "20000000", Least: 1, Most: 1_000_000_000,
		Meaning: "how many rows one listing may have before it is taken for one that never ends",
	}
	RestartLimit = Key{
		Name: "restart-limit", Kind: Whole, Default: "5", Least: 0, Most: 1000,
		Meaning: "how often a plugin that ends is started again within `restart-window` before it has failed; `0` never",
	}
	RestartWindow = Key{
		Name: "restart-window", Kind: Duration, Default: "10m", Least: second, Most: 24 * hour, Example: "10m",
		Meaning: "the time within which restarts are counted",
	}
	Provisioning = Key{
		Name: "provisioning", Kind: Switch, Default: "false",
		Meaning: "`true` lets C1 change something in the app; without it everything that would is refused",
	}
	Guard = Key{
		Name: "deletion-guard", Kind: Section, Allowed: []string{"off"},
		Meaning: "when a plugin that lists fewer accounts than in the last good sync counts as failed; if none is left, it always does. `off` switches it off",
		Keys:    []Key{KeepPercent, MinMissing, ResourceTypes},
	}
)

// MostPageSize is what the wire between host and plugin carries, in bytes.
const MostPageSize = 32 << 20

// The keys of a deletion guard.
var (
	KeepPercent = Key{
		Name: "keep-percent", Kind: Whole, Default: "50", Least: 1, Most: 100,
		Meaning: "it fails only below this share of what it listed then, in percent; a list that had fewer than 20 fails at half of it too (at this share, where that is less)",
	}
	MinMissing = Key{
		Name: "min-missing", Kind: Whole, Least: 1, Most: 1_000_000_000,
		Meaning: "and only if at least this many are missing, but always if none is left. Default: 10; for a list that had fewer than 20, 1",
	}
	ResourceTypes = Key{
		Name: "resource-types", Kind: Named, Placeholder: "TYPE",
		Meaning: "other numbers for one resource type, by the plugin's own id; also for one that holds no accounts. Default: those of the guard",
		Keys:    []Key{withoutDefault(KeepPercent), MinMissing},
	}
)

// The keys of an upload.
var (
	UploadPlugins = Key{
		Name: "plugins", Kind: Texts, Names: NameForm, Required: true, Example: "[fullstory, design-tool]",
		Meaning: "the plugins of this upload, by instance name",
	}
	ClientID = Key{
		Name: "client-id", Needs: "client-secret", References: true, Example: "${env:WORKFORCE_CLIENT_ID}",
		Meaning: "the upload's client id at C1, for `run`; `sync` does not need it. The only upload without one takes `BATON_CLIENT_ID` and `BATON_CLIENT_SECRET`",
	}
	ClientSecret = Key{
		Name: "client-secret", Needs: "client-id", References: true, Example: "${file:/run/secrets/workforce}",
		Meaning: "the secret that goes with `client-id`",
	}
	OnPluginFailure = Key{
		Name: "on-plugin-failure", Kind: Choice, Allowed: []string{"fail", "last-good"}, Default: "fail",
		Meaning: "`fail`: if one plugin cannot be read completely, there is no file. `last-good`: the last good sync answers for it",
	}
	MaxStale = Key{
		Name: "max-stale", Kind: Duration, Default: "72h", Least: minute, Most: 90 * 24 * hour, Example: "72h",
		Meaning: "how old such answers may be",
	}
)

func withoutDefault(key Key) Key {
	key.Default = ""
	return key
}
