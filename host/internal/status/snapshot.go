package status

import (
	"time"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// Snapshot is how a host is at one moment.
type Snapshot struct {
	Now     time.Time `json:"now"`
	Host    Host      `json:"host"`
	Uploads []Upload  `json:"uploads"`
	Plugins []Plugin  `json:"plugins"`
	// Errors are the last ones, the newest first.
	Errors []Error `json:"errors"`
}

// Host is the host process itself.
type Host struct {
	ID         string    `json:"id"` // as C1 knows it
	Version    string    `json:"version"`
	SDKVersion string    `json:"sdk_version"`
	GoVersion  string    `json:"go_version"`
	StartedAt  time.Time `json:"started_at"`
	Stopping   bool      `json:"stopping"`
	// LastReload is how the configuration was read again last; nil if it was not.
	LastReload *Reload `json:"last_reload,omitempty"`
}

// Reload is how the configuration of a running host was read again.
type Reload struct {
	At time.Time `json:"at"`
	// Why is why it was refused, in a sentence; empty if it was not.
	Why string `json:"why,omitempty"`
}

// State is how an upload is, or one plugin's part of it.
type State string

// The states, from the best to the worst.
const (
	// Fresh: C1 has what the app had at the last sync.
	Fresh State = "fresh"
	// Waiting: there has been no sync yet, or this host knows of no sync.
	Waiting State = "waiting"
	// Incomplete: C1 has what the app had at the last sync, but for a plugin that is new and
	// was not read yet or failed, or for entitlements or grants of resources that the plugin
	// no longer found, and that were skipped.
	Incomplete State = "incomplete"
	// Stale: C1 has something older. A plugin fell back to its
	// baseline, or there has been no sync for longer than max-stale.
	Stale State = "stale"
	// Failed: the last sync of everything failed, and C1 has what it had before.
	Failed State = "failed"
	// Stopped: C1 refuses the upload's credentials, and it is not served any more.
	Stopped State = "stopped"
)

// Connection is whether C1 can be talked to.
type Connection struct {
	// Connected says that C1 answered when it was last talked to.
	Connected bool `json:"connected"`
	// Since is when that became so; zero until C1 was first talked to.
	Since time.Time `json:"since,omitzero"`
	// Why is why not, in a sentence.
	Why string `json:"why,omitempty"`
}

// Upload is one upload.
type Upload struct {
	Name  string    `json:"name"`
	State State     `json:"state"`
	Since time.Time `json:"since,omitzero"` // when the state began, if that is known
	Why   string    `json:"why,omitempty"`  // in a sentence, unless the state is Fresh
	// Until is when the host stops falling back to the oldest part of the baseline
	// (max-stale), from when a sync fails in which that plugin still does; zero unless the
	// upload is stale because of a plugin.
	Until      time.Time  `json:"until,omitzero"`
	Connection Connection `json:"connection"`
	// Syncing are the full syncs under way, the oldest first.
	Syncing []Progress `json:"syncing"`
	// Last is the last sync of everything that C1 has; nil if none is known.
	Last *Sync `json:"last,omitempty"`
	// History are the last syncs of everything, the oldest first, of this host and
	// what it has recalled from before.
	History []Sync `json:"history"`
	Parts   []Part `json:"parts"`
	// Refused is what the change guard refused of the last sync of everything; nil if it
	// refused nothing. It stays while later syncs fail for other reasons.
	Refused *Refused `json:"refused,omitempty"`
	// Credentials are those with which C1 is called.
	Credentials []secret.Credential `json:"credentials,omitempty"`
}

// Part is one plugin's part of an upload.
type Part struct {
	Plugin string    `json:"plugin"`
	State  State     `json:"state"`
	Why    string    `json:"why,omitempty"`  // also if it is fresh and has no account
	AsOf   time.Time `json:"as_of,omitzero"` // when the app was last read completely
	// Accounts is how many accounts C1 has of it, StaleAccounts how many of them
	// came from the baseline.
	Accounts      int `json:"accounts"`
	StaleAccounts int `json:"stale_accounts"`
	// SkippedResources is how many of its resources lack entitlements or grants.
	SkippedResources int `json:"skipped_resources"`
	// Evidence is what its connector has reported on whether its lists are complete; empty
	// if the plugin has no sync yet. EvidenceReason is why it is no more than that.
	Evidence       baseline.Grade `json:"evidence,omitempty"`
	EvidenceReason string         `json:"evidence_reason,omitempty"`

	stale   string // why it was stale when C1 last took a sync
	missing string // why that sync went without it; "" if it did not
}

// Refused is what the change guard refused of a sync.
type Refused struct {
	At time.Time `json:"at"`
	// Plugins are those of which it is, also those that the upload no longer has, by name.
	Plugins []string `json:"plugins"`
}

// Sync is a sync of everything that has ended.
type Sync struct {
	At       time.Time     `json:"at"` // its end
	State    State         `json:"state"`
	Took     time.Duration `json:"took_ns"`
	Bytes    int64         `json:"bytes,omitempty"`
	Accounts int           `json:"accounts"`
	// ByPlugin is the same by plugin.
	ByPlugin map[string]int `json:"by_plugin,omitempty"`
	// SkippedResources is how many resources lack entitlements or grants.
	SkippedResources int `json:"skipped_resources,omitempty"`
	// Missing are the plugins that are new and failed, and that it went without.
	Missing []string `json:"missing_plugins,omitempty"`
	// Evidence is the worst grade of its plugins; empty for a sync that failed, and where an
	// older version wrote the history.
	Evidence baseline.Grade `json:"evidence,omitempty"`
	// Why is why it failed or is stale, in a sentence.
	Why string `json:"why,omitempty"`
	// FailedPlugins are the plugins because of which it failed, each with its reason.
	FailedPlugins map[string]string `json:"failed_plugins,omitempty"`
}

// Progress is a sync under way.
type Progress struct {
	Task      string    `json:"task"` // C1's id
	StartedAt time.Time `json:"started_at"`
	// Whole says that it is of everything.
	Whole bool `json:"whole"`
	// Sending says that it is made and being sent to C1.
	Sending bool         `json:"sending"`
	Plugins []PluginPart `json:"plugins"`
}

// PluginPart is what one plugin has done for a sync so far.
type PluginPart struct {
	Plugin string `json:"plugin"`
	// Accounts, Resources, Grants and Pages are how many it has listed; accounts
	// are resources too.
	Accounts  int `json:"accounts"`
	Resources int `json:"resources"`
	Grants    int `json:"grants"`
	Pages     int `json:"pages"`
	// Skipped is how many resources it did not find any more.
	Skipped int `json:"skipped_resources"`
	// Before is how many accounts it had in the last sync; 0 if that is not known.
	Before int `json:"before"`
	// Waits is why it keeps the sync waiting, "" if it does not.
	Waits string `json:"waits,omitempty"`
	// AnsweredFor is why it fell back to its baseline; "" if it did
	// not.
	AnsweredFor string `json:"answered_for,omitempty"`
	// Missing is why the sync goes without it; "" if it does not.
	Missing string `json:"missing,omitempty"`
}

// Plugin is one plugin of the host.
type Plugin struct {
	Name string `json:"name"`
	// App is the app's name as the plugin says it, for people.
	App        string    `json:"app,omitempty"`
	Address    string    `json:"address,omitempty"` // the app's host and port, as far as the configuration has them
	State      string    `json:"state"`             // as supervise has it
	Since      time.Time `json:"since,omitzero"`
	Why        string    `json:"why,omitempty"`
	Restarts   int       `json:"restarts"`
	Connector  string    `json:"connector,omitempty"` // its own name, for example baton-scim
	Version    string    `json:"version,omitempty"`
	SDKVersion string    `json:"sdk_version,omitempty"`
	Uploads    []string  `json:"uploads"`
	// Sandbox is the sandbox that its processes are in: on, warn or off. SandboxDetail is
	// what is applied, or why nothing is.
	Sandbox       string `json:"sandbox,omitempty"`
	SandboxDetail string `json:"sandbox_detail,omitempty"`
	// ExposesSecrets says that nothing keeps it from the secrets of the host and of other
	// plugins.
	ExposesSecrets bool `json:"exposes_secrets"`
	// Credentials are those of its configuration.
	Credentials []secret.Credential `json:"credentials,omitempty"`
}

// Exposure returns a sentence about the plugins that nothing keeps from the secrets of others;
// empty if there are none.
func (s Snapshot) Exposure() string {
	var names []string
	for _, plugin := range s.Plugins {
		if plugin.ExposesSecrets {
			names = append(names, plugin.Name)
		}
	}
	return sandbox.DescribeExposure(names)
}

// Error is something that went wrong, once or several times.
type Error struct {
	At     time.Time `json:"at"` // the last time
	Times  int       `json:"times"`
	Upload string    `json:"upload,omitempty"`
	Plugin string    `json:"plugin,omitempty"`
	// What went wrong, for example "sync".
	What string `json:"what"`
	Why  string `json:"why"`
	Task string `json:"task,omitempty"` // C1's id
}
