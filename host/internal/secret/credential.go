package secret

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// WarnBefore is how long before its end a credential is warned of, at most. A value that lives
// shorter than that is renewed by a program: to warn of each would be to warn every day.
const WarnBefore = 14 * 24 * time.Hour

// By how much of its life a value is warned of before its end: one that a person renews, and
// one that lives shorter than WarnBefore.
const (
	shareByHand    = 2
	shareByProgram = 10
)

// Credential is how a credential of a plugin or an upload is, without its value.
type Credential struct {
	// Reference is the reference as it is written; empty for a credential that is none.
	Reference string `json:"reference,omitempty"`
	// Field is where a credential that is no reference is given: a field of the plugin's
	// configuration, or a variable of the environment.
	Field string `json:"field,omitempty"`
	// Expires is when the value in use ends; zero where that is not known.
	Expires time.Time `json:"expires,omitzero"`
	// Issued is since when that value is good; zero where that is not known.
	Issued time.Time `json:"issued,omitzero"`
	// Read is when it was last read from where the reference points; zero for a credential
	// that is none.
	Read time.Time `json:"read,omitzero"`
	// Problem is why its newest value is not in use, in a sentence of the host's own words,
	// as it is shown without a login; empty: it is.
	Problem string `json:"problem,omitempty"`
}

// CredentialsOf returns references with their values as credentials, each once.
func CredentialsOf(resolved []Resolved) []Credential {
	var all []Credential
	for _, one := range resolved {
		credential := Credential{Reference: one.Reference.String()}
		if !one.Expires.IsZero() {
			credential.Issued, credential.Expires, credential.Read = one.Issued, one.Expires, one.Read
		}
		same := slices.IndexFunc(all, func(other Credential) bool { return other.Reference == credential.Reference })
		if same < 0 {
			all = append(all, credential)
			continue
		}
		if first := all[same].Expires; Earliest(first, credential.Expires) != first {
			all[same] = credential
		}
	}
	return all
}

// WithProblems returns credentials with what is wrong with them, by reference: also with
// other references, and with none (empty).
func WithProblems(credentials []Credential, problems map[string]string) []Credential {
	all := slices.Clone(credentials)
	for _, reference := range slices.Sorted(maps.Keys(problems)) {
		i := slices.IndexFunc(all, func(one Credential) bool { return one.Reference == reference && one.Field == "" })
		if i < 0 {
			all, i = append(all, Credential{Reference: reference}), len(all)
		}
		all[i].Problem = problems[reference]
	}
	return all
}

// Name returns the reference, or the field of a credential that is none.
func (c Credential) Name() string { return cmp.Or(c.Reference, c.Field) }

// WarnsFrom returns the moment from which on the value in use is warned of; zero where it is
// not: its end is not known, or a program renews it. That a value of a short life was read
// early enough before its end shows that. What becomes of it until it is read again does not
// count.
func (c Credential) WarnsFrom() time.Time {
	if c.Expires.IsZero() {
		return time.Time{}
	}
	life := WarnBefore * shareByHand
	if !c.Issued.IsZero() {
		life = c.Expires.Sub(c.Issued)
	}
	if life >= WarnBefore {
		return c.Expires.Add(-min(WarnBefore, life/shareByHand))
	}
	from := c.Expires.Add(-life / shareByProgram)
	if !c.Read.IsZero() && c.Read.Before(from) {
		return time.Time{}
	}
	return from
}

// ExpiresSoon reports whether the value in use ends soon, or has ended, so that a new one is
// needed.
func (c Credential) ExpiresSoon(now time.Time) bool {
	from := c.WarnsFrom()
	return !from.IsZero() && !now.Before(from)
}

// HasExpired reports whether the value in use has ended, and nothing renews it.
func (c Credential) HasExpired(now time.Time) bool {
	return c.ExpiresSoon(now) && !now.Before(c.Expires)
}

// Warning returns, in a sentence about its owner, that the credential expires soon or has
// expired; empty where neither is known.
func (c Credential) Warning(owner string, now time.Time) string {
	if !c.ExpiresSoon(now) {
		return ""
	}
	what, where := "the value of "+c.Reference, "there"
	if c.Reference == "" {
		what, where = "the token in "+c.Field, "into it"
	}
	end := c.Expires.UTC().Format("2006-01-02 15:04 MST")
	if c.HasExpired(now) {
		return fmt.Sprintf("%s: %s expired on %s; put a new one %s now", owner, what, end, where)
	}
	return fmt.Sprintf("%s: %s expires on %s; put a new one %s before then", owner, what, end, where)
}
