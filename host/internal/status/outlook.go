package status

import (
	"slices"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// Outlook is how much a person has to do about a host.
type Outlook int

// The outlooks, from the best to the worst.
const (
	// Good: all is fresh, or waits for its first sync.
	Good Outlook = iota
	// Degraded: C1 has less than it could have, or will if no operator acts.
	Degraded
	// Bad: an upload or a plugin has failed, or is refused.
	Bad
)

// Outlook returns the worst that is true.
func (s Snapshot) Outlook() Outlook {
	worst := Good
	for _, u := range s.Uploads {
		worst = max(worst, u.outlook(), s.outlookOf(u.Credentials))
	}
	for _, p := range s.Plugins {
		worst = max(worst, p.outlook(), s.outlookOf(p.Credentials))
	}
	return worst
}

func (u Upload) outlook() Outlook {
	switch {
	case u.State == Failed, u.State == Stopped:
		return Bad
	case u.State == Stale, u.State == Incomplete, !u.Connection.Connected && u.Connection.Why != "":
		return Degraded
	}
	return Good
}

func (p Plugin) outlook() Outlook {
	switch {
	case slices.Contains([]string{"refusing", "failed", stopped}, p.State):
		return Bad
	case p.Why != "":
		return Degraded // It ended, and is started again.
	}
	return Good
}

// outlookOf returns that of credentials. One that expires soon may be renewed by a program,
// so it is no reason to wake an operator.
func (s Snapshot) outlookOf(credentials []secret.Credential) Outlook {
	if slices.ContainsFunc(credentials, func(c secret.Credential) bool { return c.Problem != "" || c.HasExpired(s.Now) }) {
		return Degraded
	}
	return Good
}

// Of returns the part of the snapshot that is about one upload: the upload, its plugins
// and their errors. Where there is no such upload, ok is false and near is the name that
// was most likely meant, or empty.
func (s Snapshot) Of(upload string) (part Snapshot, near string, ok bool) {
	i := slices.IndexFunc(s.Uploads, func(u Upload) bool { return u.Name == upload })
	if i < 0 {
		var names []string
		for _, u := range s.Uploads {
			names = append(names, u.Name)
		}
		return Snapshot{}, errtext.Nearest(upload, names), false
	}
	part = s
	part.Uploads, part.Plugins, part.Errors = s.Uploads[i:i+1], []Plugin{}, []Error{}
	for _, p := range s.Plugins {
		if slices.Contains(p.Uploads, upload) {
			part.Plugins = append(part.Plugins, p)
		}
	}
	for _, e := range s.Errors {
		ofPlugin := slices.ContainsFunc(part.Plugins, func(p Plugin) bool { return p.Name == e.Plugin })
		if e.Upload == upload || e.Upload == "" && ofPlugin {
			part.Errors = append(part.Errors, e)
		}
	}
	return part, "", true
}

// WithoutHistory returns the snapshot without the syncs before the last one, which are
// most of it.
func (s Snapshot) WithoutHistory() Snapshot {
	s.Uploads = slices.Clone(s.Uploads)
	for i := range s.Uploads {
		s.Uploads[i].History = nil
	}
	return s
}
