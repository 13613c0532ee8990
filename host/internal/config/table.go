package config

import (
	"time"

	"github.com/batonhost/baton-host/host/internal/secret"
)

//go:generate go run ./schema/gen

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

// KeyFile is the file itself.
var KeyFile = Key{Kind: KindSection, Keys: []Key{KeyPluginDirs, KeyStateDir, KeyPlugins, KeyUploads}}

// The keys of the file.
var (
	KeyPluginDirs = Key{
		Name: "plugin-dirs", Kind: KindTexts,
		Meaning: "directories to look for plugin binaries in, before the host's own and `PATH`, from the directory of this file; `--plugin-dir` comes first",
	}
	KeyStateDir = Key{
		Name:    "state-dir",
		Meaning: "where `run` keeps the last good syncs, from the directory of this file; `--state-dir` wins. Without it: `$STATE_DIRECTORY`, else the user's own directory for state",
		Example: "/var/lib/baton-host",
	}
	KeyPlugins = Key{
		Name: "plugins", Kind: KindNamed, Placeholder: "NAME", Names: NameForm, Required: true,
		Meaning: "the plugins, by instance name. A name is permanent: it becomes part of every id, `fullstory.user`",
		Keys: []Key{
			KeyApp, KeyPath, KeyCommand, KeyUnmodified, KeyConfig, KeyNamespace, KeyEnv, KeyLogLevel, KeyStartTimeout, KeyMemoryLimit, KeyCallTimeout,
			KeyIdleTimeout, KeyHealthTimeout, KeyMaxPageSize, KeyReadAhead, KeyConcurrency, KeyMaxRows, KeyRestartLimit, KeyRestartWindow, KeyProvisioning, KeyDeletionGuard,
		},
	}
	KeyUploads = Key{
		Name: "uploads", Kind: KindNamed, Placeholder: "NAME", Names: NameForm,
		Meaning: "the uploads, by name: each is one sync file, `NAME.c1z`, or one connector of C1",
		Keys:    []Key{KeyUploadPlugins, KeyClientID, KeyClientSecret, KeyOnPluginFailure, KeyMaxStale},
	}
)

// The keys of a plugin.
var (
	KeyApp = Key{
		Name: "app", Names: NameForm, Example: "scim",
		Meaning: "which app; the binary is `baton-<app>`. Default: the instance name",
	}
	KeyPath = Key{
		Name: "path", Excludes: "command", Example: "./bin/baton-scim",
		Meaning: "the plugin binary itself, from the directory of this file, instead of looking it up",
	}
	KeyCommand = Key{
		Name: "command", Kind: KindWords, Example: "[python3, plugin.py]",
		Meaning: "the program and its arguments as a list, instead of `path`. Paths of existing files are taken from the directory of this file",
	}
	KeyUnmodified = Key{
		Name: "unmodified", Kind: KindSwitch, Default: "false",
		Meaning: "`true` says that what is started is a Baton connector which knows no host, where that cannot be told from the binary (behind a script, say)",
	}
	KeyConfig = Key{
		Name: "config", Kind: KindFields, References: true,
		Meaning: "the plugin's own fields; `baton-host inspect APP` shows them",
	}
	KeyNamespace = Key{
		Name: "namespace", Kind: KindChoice, Allowed: []string{""}, Example: `""`,
		Meaning: "`\"\"` leaves this plugin's ids without the prefix, to take over from a stand-alone connector in place. Default: the instance name is the prefix",
	}
	KeyEnv = Key{
		Name: "env", Kind: KindTexts, Names: secret.VariableForm, Example: "[AWS_REGION]",
		Meaning: "names of environment variables that the plugin may see beyond `PATH`, `HOME`, proxies and certificates",
	}
	KeyLogLevel = Key{
		Name: "log-level", Kind: KindChoice, Allowed: []string{"debug", "info", "warn", "error"},
		Meaning: "what is logged of this plugin, whatever the host's own level is (also where a command logs nothing else). Default: the host's level",
	}
	KeyStartTimeout = Key{
		Name: "start-timeout", Kind: KindDuration, Default: "10s", Least: int64(time.Millisecond), Most: 10 * minute, Example: "10s or 1m30s",
		Meaning: "how long the plugin may take to start. To take its configuration it has a minute, or this where it is longer",
	}
	KeyMemoryLimit = Key{
		Name: "memory-limit", Kind: KindSize, Least: 16 * mebibyte, Most: mebibyte * mebibyte, Example: "512MiB",
		Meaning: "how much memory the plugin's processes may take, beyond which it is ended and started again. Default: no limit",
	}
	KeyCallTimeout = Key{
		Name: "call-timeout", Kind: KindDuration, Default: "10m", Least: second, Most: hour, Example: "10m",
		Meaning: "how long one call may take before the plugin counts as hanging; waits for the app's rate limit are between calls",
	}
	KeyIdleTimeout = Key{
		Name: "idle-timeout", Kind: KindDuration, Default: "30m", Least: second, Most: 24 * hour, Example: "30m",
		Meaning: "how long a listing may go on without a row",
	}
	KeyHealthTimeout = Key{
		Name: "health-timeout", Kind: KindDuration, Default: "20s", Least: second / 10, Most: 10 * minute, Example: "20s",
		Meaning: "how long the plugin may leave a health check unanswered or take no connection",
	}
	KeyMaxPageSize = Key{
		Name: "max-page-size", Kind: KindSize, Default: "32MiB", Least: mebibyte / 16, Most: mostPageSize, Example: "8MiB",
		Meaning: "the greatest page",
	}
	KeyReadAhead = Key{
		Name: "read-ahead", Kind: KindWhole, Default: "1", Least: 0, Most: 2,
		Meaning: "how many pages the plugin is asked for while the host stores another; each is held in memory, and `0` asks for one after the other",
	}
	KeyConcurrency = Key{
		Name: "concurrency", Kind: KindWhole, Least: 1, Most: 64,
		Meaning: "how many listings of the plugin are read at the same time, over all syncs; raise it only if the connector's pages do not depend on each other. Default: what the plugin declares, else 1: one listing is read to its end before another begins",
	}
	KeyMaxRows = Key{
		Name: "max-rows", Kind: KindWhole, Default: "20000000", Least: 1, Most: 1_000_000_000,
		Meaning: "how many rows one listing may have before it is taken for one that never ends",
	}
	KeyRestartLimit = Key{
		Name: "restart-limit", Kind: KindWhole, Default: "5", Least: 0, Most: 1000,
		Meaning: "how often a plugin that ends is started again within `restart-window` before it has failed; `0` never",
	}
	KeyRestartWindow = Key{
		Name: "restart-window", Kind: KindDuration, Default: "10m", Least: second, Most: 24 * hour, Example: "10m",
		Meaning: "the time within which restarts are counted",
	}
	KeyProvisioning = Key{
		Name: "provisioning", Kind: KindSwitch, Default: "false",
		Meaning: "`true` lets C1 change something in the app; without it everything that would is refused",
	}
	KeyDeletionGuard = Key{
		Name: "deletion-guard", Kind: KindSection, Allowed: []string{"off"},
		Meaning: "when a plugin that lists fewer accounts than in the last good sync counts as failed; if none is left, it always does. `off` switches it off",
		Keys:    []Key{KeyKeepPercent, KeyMinMissing, KeyResourceTypes},
	}
)

// mostPageSize is what the wire between host and plugin carries, in bytes.
const mostPageSize = 32 << 20

// The keys of a deletion guard.
var (
	KeyKeepPercent = Key{
		Name: "keep-percent", Kind: KindWhole, Default: "50", Least: 1, Most: 100,
		Meaning: "it fails only below this share of what it listed then, in percent; a list that had fewer than 20 fails at half of it too (at this share, where that is less)",
	}
	KeyMinMissing = Key{
		Name: "min-missing", Kind: KindWhole, Least: 1, Most: 1_000_000_000,
		Meaning: "and only if at least this many are missing, but always if none is left. Default: 10; for a list that had fewer than 20, 1",
	}
	KeyResourceTypes = Key{
		Name: "resource-types", Kind: KindNamed, Placeholder: "TYPE",
		Meaning: "other numbers for one resource type, by the plugin's own id; also for one that holds no accounts. Default: those of the guard",
		Keys:    []Key{withoutDefault(KeyKeepPercent), KeyMinMissing},
	}
)

// The keys of an upload.
var (
	KeyUploadPlugins = Key{
		Name: "plugins", Kind: KindTexts, Names: NameForm, Required: true, Example: "[fullstory, design-tool]",
		Meaning: "the plugins of this upload, by instance name",
	}
	KeyClientID = Key{
		Name: "client-id", Needs: "client-secret", References: true, Example: "${env:WORKFORCE_CLIENT_ID}",
		Meaning: "the upload's client id at C1, for `run`; `sync` does not need it. The only upload without one takes `BATON_CLIENT_ID` and `BATON_CLIENT_SECRET`",
	}
	KeyClientSecret = Key{
		Name: "client-secret", Needs: "client-id", References: true, Example: "${file:/run/secrets/workforce}",
		Meaning: "the secret that goes with `client-id`",
	}
	KeyOnPluginFailure = Key{
		Name: "on-plugin-failure", Kind: KindChoice, Allowed: []string{"fail", "last-good"}, Default: "fail",
		Meaning: "`fail`: if one plugin cannot be read completely, there is no file. `last-good`: the last good sync answers for it",
	}
	KeyMaxStale = Key{
		Name: "max-stale", Kind: KindDuration, Default: "72h", Least: minute, Most: 90 * 24 * hour, Example: "72h",
		Meaning: "how old such answers may be",
	}
)

func withoutDefault(key Key) Key {
	key.Default = ""
	return key
}
