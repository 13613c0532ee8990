package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// found is what a path held when it was read.
type found struct {
	// A function, because what prints by reflection would find the values.
	fields  func() map[string]any
	version string
	issued  time.Time // zero: that is not known
	expires time.Time
	lease   *lease // nil: what was read is not leased
}

// lease is that of a dynamic secret.
type lease struct {
	id        string
	renewable bool
	whole     time.Duration // as it was first given
	ends      time.Time
	session   *session // which it was made in, and ends with
}

// end is when the lease ends, or the token that it depends on.
func (l *lease) end() time.Time {
	if l.session == nil {
		return l.ends
	}
	_, ends := l.session.life.times()
	return secret.Earliest(l.ends, ends)
}

// sentence is an error of this package, which needs no explanation.
type sentence string

// Error returns the sentence.
func (s sentence) Error() string { return string(s) }

func isOwn(err error) bool {
	_, own := errors.AsType[sentence](err)
	return own
}

// errNoSecret stands for a path at which there is nothing.
const errNoSecret = sentence("there is no secret at this path; check the path, and the mount that it begins with")

// mostMounts is how many parts a path of a mount may have that is looked for by trying.
const mostMounts = 4

// kind is the kind of a secrets engine.
type kind int

const (
	kindUnknown kind = iota
	kindPlain        // KV version 1, and engines that are read as they are written
	kindVersioned
)

// place is one path to read.
type place struct {
	path string
	kind kind
}

// read reads a secret at its path: with /data/ in it or without, where it is in a versioned
// KV store.
func (c client) read(ctx context.Context, path string) (*found, error) {
	mount, kind, err := c.mount(ctx, path)
	if err != nil {
		return nil, err
	}
	var refused error
	for _, place := range places(path, mount, kind) {
		answer, err := c.api().Logical().ReadWithContext(ctx, place.path)
		switch {
		case status(err) == http.StatusForbidden:
			refused = err
		case err != nil:
			return nil, err
		case answer == nil || answer.Data == nil:
			// Nothing there, but perhaps at the next place.
		case place.kind == kindVersioned || place.kind == kindUnknown && isVersioned(answer):
			return versioned(answer)
		default:
			return plain(answer), nil
		}
	}
	if refused != nil {
		return nil, refused
	}
	return nil, errNoSecret
}

// mount returns the mount of a path and its kind, as the vault command finds them. A token
// need not be allowed to ask: the kind is unknown then.
func (c client) mount(ctx context.Context, path string) (string, kind, error) {
	answer, err := c.api().Logical().ReadWithContext(ctx, "sys/internal/ui/mounts/"+path)
	switch {
	case status(err) >= http.StatusBadRequest && status(err) < http.StatusInternalServerError && status(err) != http.StatusTooManyRequests:
		return "", kindUnknown, nil
	case err != nil:
		return "", kindUnknown, err
	case answer == nil:
		return "", kindUnknown, nil
	}
	mount, _ := answer.Data["path"].(string)
	options, _ := answer.Data["options"].(map[string]any)
	switch {
	case mount == "" || !strings.HasPrefix(path, mount):
		return "", kindUnknown, nil
	case answer.Data["type"] == "kv" && options["version"] == "2":
		return mount, kindVersioned, nil
	}
	return mount, kindPlain, nil
}

// places are the paths at which the secret may be, the likely ones first.
func places(path, mount string, known kind) []place {
	switch known {
	case kindPlain:
		return []place{{path, kindPlain}}
	case kindVersioned:
		rest := strings.TrimPrefix(path, mount)
		within := place{mount + "data/" + rest, kindVersioned}
		if strings.HasPrefix(rest, "data/") {
			return []place{{path, kindVersioned}, within}
		}
		return []place{within}
	}
	all := []place{{path, kindUnknown}}
	parts := strings.Split(path, "/")
	for at := 1; at < len(parts) && at <= mostMounts; at++ {
		if parts[at] != "data" {
			all = append(all, place{strings.Join(slices.Insert(slices.Clone(parts), at, "data"), "/"), kindVersioned})
		}
	}
	return all
}

// isVersioned reports whether an answer is of a versioned KV store.
func isVersioned(answer *api.Secret) bool {
	metadata, _ := answer.Data["metadata"].(map[string]any)
	_, hasVersion := metadata["version"].(json.Number)
	_, hasData := answer.Data["data"]
	return hasData && hasVersion && len(answer.Data) == 2
}

// versioned takes the answer of a versioned KV store apart.
func versioned(answer *api.Secret) (*found, error) {
	metadata, _ := answer.Data["metadata"].(map[string]any)
	version, _ := metadata["version"].(json.Number)
	written, _ := metadata["deletion_time"].(string)
	deletion, _ := time.Parse(time.RFC3339Nano, written)
	written, _ = metadata["created_time"].(string)
	created, _ := time.Parse(time.RFC3339Nano, written)
	data, ok := answer.Data["data"].(map[string]any)
	switch {
	case metadata["destroyed"] == true:
		return nil, sentence(fmt.Sprintf("version %s of the secret was destroyed; write a new version", version))
	case !deletion.IsZero() && !deletion.After(time.Now()):
		return nil, sentence(fmt.Sprintf("version %s of the secret was deleted at %s; undelete it, or write a new version", version, deletion.UTC().Format(time.RFC3339)))
	case !ok:
		return nil, errNoSecret
	}
	return &found{fields: func() map[string]any { return data }, version: version.String(), issued: created, expires: deletion}, nil
}

// plain takes any other answer apart.
func plain(answer *api.Secret) *found {
	data := answer.Data
	f := &found{fields: func() map[string]any { return data }}
	if answer.LeaseID == "" || answer.LeaseDuration <= 0 {
		return f
	}
	whole := time.Duration(answer.LeaseDuration) * time.Second
	f.lease = &lease{id: answer.LeaseID, renewable: answer.Renewable, whole: whole, ends: time.Now().Add(whole)}
	if !answer.Renewable {
		f.issued, f.expires = f.lease.ends.Add(-whole), f.lease.ends
	}
	return f
}

// keep asks for more time of a lease that can have it, and of another one whether it is
// still there.
func (c client) keep(ctx context.Context, l *lease) error {
	if !l.renewable {
		_, err := c.api().Sys().LookupWithContext(ctx, l.id)
		if status(err) == http.StatusForbidden {
			return nil // It may not ask; the lease ends when it was said to.
		}
		return err
	}
	renewed, err := c.api().Sys().RenewWithContext(ctx, l.id, int(l.whole/time.Second))
	if err != nil || renewed == nil {
		return err
	}
	l.ends = time.Now().Add(time.Duration(renewed.LeaseDuration) * time.Second)
	return nil
}

// mostNames bounds how many names of fields an error has.
const mostNames = 20

// value returns one field, or the only one.
func (f *found) value(field string) (secret.Value, error) {
	fields := f.fields()
	names := slices.Sorted(maps.Keys(fields))
	shown := make([]string, 0, mostNames)
	for _, name := range names[:min(len(names), mostNames)] {
		shown = append(shown, errtext.Cut(errtext.Printable(name, ""), 64))
	}
	if len(names) > mostNames {
		shown = append(shown, "…")
	}
	there := strings.Join(shown, ", ")
	if field == "" {
		if len(names) != 1 {
			return secret.Value{}, withNames(fmt.Sprintf("the secret has %d fields, so the reference must name one behind #", len(names)), ": "+there)
		}
		field = names[0]
	}
	value, ok := fields[field]
	if !ok {
		if len(names) == 0 {
			return secret.Value{}, errors.New("the secret has no fields")
		}
		return secret.Value{}, withNames(fmt.Sprintf("the secret has no field %q", errtext.Cut(field, 64)), "; it has "+there)
	}
	text, ok := value.(string)
	if !ok {
		return secret.Value{}, fmt.Errorf("the field %q is %s and not text; write it as text into Vault", errtext.Cut(field, 64), form(value))
	}
	return secret.Value{Text: secret.New(text), Version: f.version, Issued: f.issued, Expires: f.expires}, nil
}

// withNames returns an error with names that the server has.
func withNames(words, names string) error {
	return &secret.ReportedError{Err: errors.New(words + names), Words: words}
}

// form names the form of a JSON value.
func form(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}
