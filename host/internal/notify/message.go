package notify

import (
	"fmt"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/status"
)

// version is that of the form of a [Message]. Members may be added within it; a change of
// what is there needs the next one.
const version = 1

// Type is what an event is about. The names are a contract with receivers.
type Type string

// The types of events. Each that begins something has one that ends it.
const (
	UploadFailed     Type = "upload.failed"
	UploadStopped    Type = "upload.stopped"
	UploadStale      Type = "upload.stale"
	UploadIncomplete Type = "upload.incomplete"
	UploadRecovered  Type = "upload.recovered"

	GuardTripped Type = "guard.tripped"
	GuardCleared Type = "guard.cleared"

	PluginFailed    Type = "plugin.failed"
	PluginRecovered Type = "plugin.recovered"

	CredentialExpiring Type = "credential.expiring"
	CredentialExpired  Type = "credential.expired"
	CredentialRenewed  Type = "credential.renewed"

	// Test is what a person has sent.
	Test Type = "test"
)

// Message is an event as it is posted: the form of Standard Webhooks, with a sentence for
// people.
type Message struct {
	Version   int       `json:"version"`
	Type      Type      `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Text      string    `json:"text"`
	Data      Data      `json:"data"`
}

// Data is what an event is about. It has names of the configuration, numbers and times, and no
// word of an app, a plugin or C1.
type Data struct {
	// Key is the same for an event and for the one that ends it, on every host.
	Key  string `json:"key"`
	Host Host   `json:"host"`
	// Upload and Plugin are the one that the event is about, and Plugins those that the change
	// guard refused something of.
	Upload  string   `json:"upload,omitempty"`
	Plugin  string   `json:"plugin,omitempty"`
	Plugins []string `json:"plugins,omitempty"`
	// Reference is the credential: its reference, or the field that it is in.
	Reference string `json:"reference,omitempty"`
	// Since is when it began, and Expires when the credential ends; missing where that is
	// not known.
	Since   time.Time `json:"since,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// Why is the reason in the host's own words.
	Why string `json:"why,omitempty"`
	// Command shows what was refused, and how to approve it.
	Command string `json:"command,omitempty"`
}

// Host is the host that reports an event.
type Host struct {
	ID      string `json:"id"`
	Version string `json:"version"`
}

// alarm is something that is the matter. Its members are what the file has of it.
type alarm struct {
	Type      Type      `json:"type"`
	Upload    string    `json:"upload,omitempty"`
	Plugin    string    `json:"plugin,omitempty"`
	Plugins   []string  `json:"plugins,omitempty"`
	Reference string    `json:"reference,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`

	text, why string
}

// isSame reports whether a receiver that knows the other one knows this one.
func (a *alarm) isSame(other *alarm) bool {
	return a.Type == other.Type && a.Expires.Equal(other.Expires) && strings.Join(a.Plugins, " ") == strings.Join(other.Plugins, " ")
}

// message returns the event that an alarm begins.
func (a *alarm) message(key string, now time.Time, of status.Host, command review.Command) Message {
	m := a.about(key, now, of)
	m.Type, m.Text, m.Data.Why = a.Type, a.text, a.why
	if a.Type == GuardTripped {
		m.Data.Command = command.Of(a.Upload)
		m.Text = fmt.Sprintf("the change guard refused too large a change in upload %q (plugin %s); look at it with: %s", a.Upload, strings.Join(a.Plugins, ", "), m.Data.Command)
	}
	return m
}

// end returns the event that ends an alarm; why, if any, is why nothing more will be known of
// it.
func (a *alarm) end(key string, now time.Time, of status.Host, why string) Message {
	m := a.about(key, now, of)
	switch kind, _, _ := strings.Cut(string(a.Type), "."); kind {
	case "upload":
		m.Type, m.Text = UploadRecovered, fmt.Sprintf("upload %q is fresh again", a.Upload)
	case "guard":
		m.Type, m.Text = GuardCleared, fmt.Sprintf("the change guard refuses nothing more in upload %q", a.Upload)
	case "plugin":
		m.Type, m.Text = PluginRecovered, fmt.Sprintf("plugin %q is ready again", a.Plugin)
	default:
		m.Type, m.Text = CredentialRenewed, fmt.Sprintf("%s: the value of %s was renewed", ownerOf(a.Upload, a.Plugin), a.Reference)
		m.Data.Expires = time.Time{}
	}
	if why != "" {
		m.Text, m.Data.Why = fmt.Sprintf("%s: %s", ownerOf(a.Upload, a.Plugin), why), why
	}
	return m
}

func (a *alarm) about(key string, now time.Time, of status.Host) Message {
	return Message{Version: version, Timestamp: now.UTC(), Data: Data{
		Key: key, Host: Host{ID: of.ID, Version: of.Version},
		Upload: a.Upload, Plugin: a.Plugin, Plugins: a.Plugins, Reference: a.Reference, Since: utc(a.Since), Expires: utc(a.Expires),
	}}
}

// testMessage returns the event that a person sends.
func testMessage(of Host, now time.Time) Message {
	return Message{Version: version, Type: Test, Timestamp: now.UTC(), Text: "a test event of baton-host check --notify", Data: Data{Key: "test", Host: of}}
}

func ownerOf(upload, plugin string) string {
	if upload != "" {
		return fmt.Sprintf("upload %q", upload)
	}
	return fmt.Sprintf("plugin %q", plugin)
}

// utc leaves a zero time as it is.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}
