package secret_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/secret"
)

func TestCredential_WarnsBeforeAndAfterItsEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		credential secret.Credential
		want       string
	}{
		"no end":             {secret.Credential{Reference: "${file:token}"}, ""},
		"far away":           {secret.Credential{Reference: "${file:token}", Expires: now.Add(14*24*time.Hour + time.Second)}, ""},
		"fourteen days":      {secret.Credential{Reference: "${file:token}", Expires: now.Add(14 * 24 * time.Hour)}, `plugin "p": the value of ${file:token} expires on 2026-12-13 12:00 UTC; put a new one there before then`},
		"now":                {secret.Credential{Reference: "${file:token}", Expires: now}, `plugin "p": the value of ${file:token} expired on 2026-11-29 12:00 UTC; put a new one there now`},
		"no reference":       {secret.Credential{Field: "scim-token", Expires: now.Add(time.Hour)}, `plugin "p": the token in scim-token expires on 2026-11-29 13:00 UTC; put a new one into it before then`},
		"no reference, past": {secret.Credential{Field: "scim-token", Expires: now.Add(-time.Hour)}, `plugin "p": the token in scim-token expired on 2026-11-29 11:00 UTC; put a new one into it now`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, c.credential.Warning(`plugin "p"`, now))
		})
	}
}

// TestCredential_WarnsByItsLife: at most fourteen days before its end, at most for half of its
// life, and of one that a program renews only where the program does not.
func TestCredential_WarnsByItsLife(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	end := time.Date(2026, 12, 24, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		life, read time.Duration // before its end; 0: not known, or no reference
		warns      time.Duration // before its end; negative: never
	}{
		"not known":                {0, 20 * day, 14 * day},
		"not known, read late":     {0, time.Hour, 14 * day},
		"90 days":                  {90 * day, 89 * day, 14 * day},
		"28 days":                  {28 * day, 20 * day, 14 * day},
		"20 days":                  {20 * day, 20 * day, 10 * day},
		"14 days":                  {14 * day, 14 * day, 7 * day},
		"10 days, renewed":         {10 * day, 5 * day, -1},
		"10 days, not renewed":     {10 * day, day, day},
		"10 days, read once ended": {10 * day, -day, day},
		"an hour, renewed":         {time.Hour, 10 * time.Minute, -1},
		"an hour, not renewed":     {time.Hour, 5 * time.Minute, 6 * time.Minute},
		"an hour, no reference":    {time.Hour, 0, 6 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			credential := secret.Credential{Field: "x", Expires: end}
			if c.life != 0 {
				credential.Issued = end.Add(-c.life)
			}
			if c.read != 0 {
				credential.Read = end.Add(-c.read)
			}
			if c.warns < 0 {
				require.Zero(t, credential.WarnsFrom())
				require.False(t, credential.ExpiresSoon(end.Add(time.Hour)))
				require.False(t, credential.HasExpired(end.Add(time.Hour)), "it is read again when it is needed")
				require.Empty(t, credential.Warning("p", end.Add(time.Hour)))
				return
			}
			require.Equal(t, end.Add(-c.warns), credential.WarnsFrom())
			require.False(t, credential.ExpiresSoon(end.Add(-c.warns-time.Second)))
			require.True(t, credential.ExpiresSoon(end.Add(-c.warns)))
			require.False(t, credential.HasExpired(end.Add(-time.Second)))
			require.True(t, credential.HasExpired(end))
		})
	}
}

func TestCredentialsOf_HasEachReferenceOnce(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	token, other := secret.Reference{Scheme: "file", Name: "token"}, secret.Reference{Scheme: "env", Name: "OTHER"}
	begin, read := end.Add(-48*time.Hour), end.Add(-24*time.Hour)
	require.Equal(t, []secret.Credential{{Reference: "${file:token}", Issued: begin, Expires: end, Read: read}, {Reference: "${env:OTHER}"}}, secret.CredentialsOf([]secret.Resolved{
		{Reference: token, Value: secret.Value{Expires: end.Add(time.Hour)}},
		{Reference: other, Value: secret.Value{Read: read}},
		{Reference: token, Value: secret.Value{Issued: begin, Expires: end, Read: read}},
		{Reference: token, Value: secret.Value{Expires: end.Add(time.Minute)}},
	}))
}

func TestLifeOf_ReadsTokensOnly(t *testing.T) {
	t.Parallel()
	token := func(claims string) string {
		return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	for name, c := range map[string]struct {
		text   string
		want   int64
		issued int64
	}{
		"with its begin":    {token(`{"exp":1796000000,"iat":1795000000.5}`), 1796000000, 1795000000},
		"a begin as text":   {text: token(`{"exp":1796000000,"iat":"then"}`), want: 1796000000},
		"begun at its end":  {text: token(`{"exp":1796000000,"iat":1796000000}`), want: 1796000000},
		"a token":           {text: token(`{"exp":1796000000}`), want: 1796000000},
		"behind its scheme": {text: "Bearer " + token(`{"exp":1796000000}`), want: 1796000000},
		"no end":            {text: token(`{"sub":"x"}`), want: 0},
		"a text as end":     {text: token(`{"exp":"soon"}`), want: 0},
		"an absurd end":     {text: token(`{"exp":1e300}`), want: 0},
		"a negative end":    {text: token(`{"exp":-5}`), want: 0},
		"no JSON":           {text: token("{"), want: 0},
		"no token":          {text: "a.b.c", want: 0},
		"nothing":           {text: "", want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issued, expires := secret.LifeOf(secret.New(c.text))
			for want, got := range map[int64]time.Time{c.want: expires, c.issued: issued} {
				if want == 0 {
					require.Zero(t, got)
				} else {
					require.Equal(t, want, got.Unix())
				}
			}
		})
	}
}
