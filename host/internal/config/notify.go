package config

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// Names of the keys of notify.
const (
	NameNotify = "notify"
	nameURL    = "url"
	nameSecret = "secret"
)

// Notify is the webhook that the host reports events to. Both of its texts may have
// references, which [Config.Webhook] resolves.
type Notify struct {
	url, secret placedText
}

var notifyRows = []row[Notify]{
	special(Key{
		Name: nameURL, Required: true, References: true, Example: "https://hooks.example.com/baton-host",
		Meaning: "where the events are posted, `https`; `http` only on this machine. Where the path is a secret, refer to it",
	}, func(l *loader, e entry, n *Notify) {
		n.url = l.credential(e, nameURL)
		if problem := badWebhookURL(e.value.Value); n.url.given && n.url.template.IsLiteral() && problem != "" {
			l.report(e.value, "%s", problem)
		}
	}),
	special(Key{
		Name: nameSecret, Required: true, References: true, Example: "${file:/run/secrets/webhook}",
		Meaning: "the key that signs the events, as Standard Webhooks has it: `whsec_` and 24 to 64 bytes in base64. It is resolved for each delivery",
	}, func(l *loader, e entry, n *Notify) {
		n.secret = l.credential(e, nameSecret)
		if !n.secret.given {
			return
		}
		l.exposure.Secret("secret of notify", n.secret.template)
		if _, ok := webhookKey(e.value.Value); !ok && n.secret.template.IsLiteral() {
			l.report(e.value, badWebhookSecret)
		}
	}),
}

// notify reads where events are reported to.
func (l *loader) notify(e entry, c *Config) {
	if isNull(e.value) {
		return
	}
	c.Notify = &Notify{}
	given := section(l, e.value, NameNotify, "", notifyRows, c.Notify)
	for _, name := range []string{nameURL, nameSecret} {
		if !isGiven(given, name) {
			l.report(e.key, "notify needs url and secret; %s is missing", name)
		}
	}
}

// badWebhookSecret is what is wrong with a secret, without the secret.
const badWebhookSecret = "secret is not of the form of Standard Webhooks: whsec_ and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)"

// The sizes of a key in bytes.
const (
	leastWebhookKey = 24
	mostWebhookKey  = 64
)

// webhookKey returns the key in a secret; ok is false where it has another form.
func webhookKey(text string) (key []byte, ok bool) {
	encoded, hasPrefix := strings.CutPrefix(text, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	return key, hasPrefix && err == nil && len(key) >= leastWebhookKey && len(key) <= mostWebhookKey
}

// badWebhookURL is what is wrong with a URL, without it; empty: nothing.
func badWebhookURL(text string) string {
	const form = "; it must look like https://hooks.example.com/baton-host"
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return "url is not a URL with a host" + form
	case u.User != nil:
		return "url has a user name or password in it: events are signed, so leave both out"
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "url does not begin with https, so that events would be readable on the way" + form
	case u.Scheme != "https" && u.Scheme != "http":
		return "url does not begin with https" + form
	}
	return ""
}

// Webhook is where events are posted, with the key that signs them.
type Webhook struct {
	// URL may have a secret in its path; Host has none.
	URL  secret.Text
	Host string
	// Key are the bytes of the key.
	Key secret.Text
}

// Webhook resolves the webhook of the configuration, which must have one, as it is now. The
// error has no value in it.
func (c *Config) Webhook(ctx context.Context) (*Webhook, error) {
	round := c.Round()
	address, problems := c.Notify.url.expand(ctx, round)
	key, more := c.Notify.secret.expand(ctx, round)
	if problems = append(problems, more...); len(problems) > 0 {
		return nil, problems
	}
	report := func(place settings.Problem, message string) {
		place.Message = message
		problems = append(problems, place)
	}
	if problem := badWebhookURL(address.Text.Reveal()); problem != "" {
		report(c.Notify.url.place, problem)
	}
	bytes, ok := webhookKey(key.Text.Reveal())
	if !ok {
		report(c.Notify.secret.place, badWebhookSecret)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	u, err := url.Parse(address.Text.Reveal())
	if err != nil {
		return nil, errors.New("url is not a URL") // Its own error repeats it.
	}
	return &Webhook{URL: address.Text, Host: u.Host, Key: secret.New(string(bytes))}, nil
}

// References are the references of the webhook, as they are written; none where there is no
// webhook.
func (n *Notify) References() []secret.Reference {
	if n == nil {
		return nil
	}
	return append(n.url.template.References(), n.secret.template.References()...)
}
