package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	webhookKey    = "0123456789abcdefghijklmnopqrstuv"
	webhookSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="
)

func TestNotify_ReportsWhatIsWrongInTheFile(t *testing.T) {
	t.Parallel()
	const badSecret = "secret is not of the form of Standard Webhooks: whsec_ and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)"
	for name, c := range map[string]struct {
		url, secret string
		want        []string
	}{
		"right":                   {"https://hooks.example.com/a?b=c", webhookSecret, nil},
		"right on this machine":   {"http://127.0.0.1:8080/a", webhookSecret, nil},
		"references":              {"${env:URL}", "${file:there-is-none}", nil},
		"no https":                {"http://hooks.example.com/a", webhookSecret, []string{"url does not begin with https, so that events would be readable on the way; it must look like https://hooks.example.com/baton-host"}},
		"another scheme":          {"ftp://hooks.example.com/a", webhookSecret, []string{"url does not begin with https; it must look like https://hooks.example.com/baton-host"}},
		"a password":              {"https://a:hunter2@hooks.example.com/a", webhookSecret, []string{"url has a user name or password in it: events are signed, so leave both out"}},
		"no host":                 {"hooks.example.com", webhookSecret, []string{"url is not a URL with a host; it must look like https://hooks.example.com/baton-host"}},
		"a secret without prefix": {"https://hooks.example.com/a", "hunter2", []string{badSecret}},
		"a short secret":          {"https://hooks.example.com/a", "whsec_aHVudGVyMg==", []string{badSecret}},
		"an unknown store":        {"https://hooks.example.com/a", "${nowhere:x}", []string{"unknown reference: write ${env:NAME}, ${file:PATH}, ${exec:HELPER …} or ${STORE:…} of a store under secret-stores, and $${ for a literal ${"}},
		"nothing":                 {"", "", []string{"notify needs url and secret; url is missing", "notify needs url and secret; secret is missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := "plugins: { a: {} }\nnotify: {}\n"
			if c.url != "" {
				text = "plugins: { a: {} }\nnotify:\n  url: '" + c.url + "'\n  secret: '" + c.secret + "'\n"
			}
			loaded, dir, err := load(t, text, nil)
			var got []string
			for _, message := range messages(dir, err) {
				_, after, _ := strings.Cut(message, ": ")
				got = append(got, after)
				require.NotContains(t, message, "hunter2")
			}
			require.Equal(t, c.want, got)
			if c.want == nil {
				require.NotNil(t, loaded.Notify)
			}
		})
	}
	loaded, _, err := load(t, "plugins: { a: {} }\nnotify:\n", nil)
	require.NoError(t, err)
	require.Nil(t, loaded.Notify)
}

// TestNotify_ResolvesTheWebhookEachTime, and hides what it is made of.
func TestNotify_ResolvesTheWebhookEachTime(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"URL": "https://hooks.example.com/services/canary7f3a", "KEY": webhookSecret}
	loaded, _, err := load(t, "plugins: { a: {} }\nnotify: { url: '${env:URL}', secret: '${env:KEY}' }\n", variables)
	require.NoError(t, err)
	hook, err := loaded.Webhook(t.Context())
	require.NoError(t, err)
	require.Equal(t, "hooks.example.com", hook.Host)
	require.Equal(t, webhookKey, hook.Key.Reveal())
	require.NotContains(t, printed(t, loaded), canary)
	require.NotContains(t, dumped(loaded), canary)
	require.NotContains(t, dumped(hook), webhookKey)
	require.Len(t, loaded.Notify.References(), 2)

	for _, c := range []struct{ name, value, want string }{
		{"URL", "http://hooks.example.com/canary7f3a", "url does not begin with https, so that events would be readable on the way"},
		{"KEY", "canary7f3a", "secret is not of the form of Standard Webhooks"},
		{"KEY", "", "${env:KEY}: the environment variable is empty"},
	} {
		before := variables[c.name]
		variables[c.name] = c.value
		_, err := loaded.Webhook(t.Context())
		require.ErrorContains(t, err, c.want)
		require.NotContains(t, err.Error(), canary)
		variables[c.name] = before
	}
}
