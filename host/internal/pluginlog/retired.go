package pluginlog

import (
	"slices"
	"sync"
	"time"

	"github.com/batonhost/baton-host/plugin/redact"
)

// RetiredFor is how long secrets are blanked that a plugin is not configured with any more:
// late lines and errors may still have them.
const RetiredFor = time.Hour

// Retired are the secrets that a plugin's processes were configured with before, for as
// long as they are blanked; then they are forgotten. The zero value has none. It is safe
// for concurrent use.
type Retired struct {
	mu    sync.Mutex
	texts []string // a new list at each change
}

// Texts returns them. The list must not be changed.
func (r *Retired) Texts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.texts
}

// Blank returns a text without them.
func (r *Retired) Blank(text string) string { return redact.Of(r.Texts()...).Blank(text) }

// Add retires secrets, to be forgotten after [RetiredFor].
func (r *Retired) Add(secrets []string) {
	if len(secrets) == 0 {
		return
	}
	secrets = slices.Clone(secrets)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = slices.Concat(r.texts, secrets)
	time.AfterFunc(RetiredFor, func() { r.forget(len(secrets)) })
}

// forget drops the oldest.
func (r *Retired) forget(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = slices.Clone(r.texts[n:])
}
