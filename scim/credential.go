package scim

import (
	"bytes"
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/http/httpguts"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/plugin/redact"
)

// leakLength is how many characters of the token in a row count as a leak.
// Shorter pieces occur by chance, for example an app's name with which its
// tokens begin.
const leakLength = 12

// shortLength is how many characters a secret has at least that is looked for as
// a whole.
const shortLength = 6

// credential holds all secrets inside closures, so that printing a struct that
// contains it (%v, JSON, a debugger's log) shows none.
type credential struct {
	// fields are the fields of the configuration that it comes from, for messages.
	fields string
	carry  func(*http.Request)
	// tokens get the token that requests carry; nil if the configuration has it.
	tokens  *accessTokens
	secrets secretTexts
}

// authorize puts the credential into a request. It returns the token if it may be
// renewed.
func (c *credential) authorize(ctx context.Context, request *http.Request) (token string, err error) {
	c.carry(request)
	if c.tokens == nil {
		return "", nil
	}
	return c.tokens.authorize(ctx, request)
}

// occursIn reports whether text holds a secret or a significant part of it, plain,
// URL-encoded or in base64.
func (c *credential) occursIn(text string) bool {
	return c.secrets.occurIn(text) || c.tokens != nil && (c.tokens.texts().occurIn(text) || c.tokens.issuer.credential.occursIn(text))
}

// fillsIn reports whether an answer holds a whole secret in one of these forms.
func (c *credential) fillsIn(body []byte) bool {
	return c.secrets.fillIn(body) || c.tokens != nil && (c.tokens.texts().fillIn(body) || c.tokens.issuer.credential.fillsIn(body))
}

// newCredential makes what requests carry according to Options.
func newCredential(ctx context.Context, options Options) (credential, error) {
	headers := http.Header{}
	secrets := []string{}
	short := ""
	fields := tokenField
	var tokens *accessTokens
	byClient := options.ClientID != "" || options.ClientSecret != "" || options.TokenURL != ""
	switch {
	case !byClient && strings.TrimSpace(strings.Join(options.Scopes, "")) != "":
		return credential{}, failf(codes.InvalidArgument, "%s are given, although there is no client id: only a token that is issued to a client has scopes. Take them away, or fill in %s.", scopesField, clientIDField)
	case byClient && (options.Token != "" || options.Username != "" || options.Password != ""):
		return credential{}, failf(codes.InvalidArgument, "%s is given, and also %s or %s. Give the one that the app asks for.", clientIDField, tokenField, userNameField)
	case byClient:
		var err error
		fields = clientFields
		if tokens, err = newAccessTokens(ctx, options); err != nil {
			return credential{}, err
		}
	case options.Token != "" && (options.Username != "" || options.Password != ""):
		return credential{}, failf(codes.InvalidArgument, "%s and %s are both given. Give the one that the app asks for.", tokenField, userNameField)
	case options.Username != "" || options.Password != "":
		fields = userNameField + " and " + passwordField
		if err := checkBasic(options.Username, options.Password); err != nil {
			return credential{}, err
		}
		pair := options.Username + ":" + options.Password
		headers.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
		secrets = append(secrets, options.Password, pair)
		short = options.Password
	default:
		token, err := cleanToken(options.Token)
		if err != nil {
			return credential{}, err
		}
		headers.Set("Authorization", "Bearer "+token)
		secrets = append(secrets, token)
		short = token
	}
	for _, given := range slices.Sorted(maps.Keys(options.Headers)) {
		name, value := textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(given)), strings.TrimSpace(options.Headers[given])
		if err := checkHeader(name, value); err != nil {
			return credential{}, err
		}
		if _, twice := headers[name]; twice {
			return credential{}, failf(codes.InvalidArgument, "%s has a header in it twice.", headersField)
		}
		headers.Set(name, value)
		if len(value) >= shortLength { // shorter ones are versions and switches
			secrets = append(secrets, value)
		}
	}

	return credential{
		fields: fields, tokens: tokens, secrets: newSecretTexts(secrets, short),
		carry: func(r *http.Request) { maps.Copy(r.Header, headers) },
	}, nil
}

// secretTexts are secrets as they are looked for in texts. The zero value knows none.
type secretTexts struct {
	// occur and fill are nil, or hold the secrets inside.
	occur func(text string) bool
	fill  func(body []byte) bool
}

// newSecretTexts makes them of secrets; short is one that is looked for as a whole value
// too, however short it is.
func newSecretTexts(secrets []string, short string) secretTexts {
	forms := writtenForms(secrets)
	lowered := make([]string, len(forms))
	for i, form := range forms {
		lowered[i] = strings.ToLower(form)
	}
	fills := func(body []byte) bool {
		return slices.ContainsFunc(forms, func(form string) bool { return len(form) >= leakLength && bytes.Contains(body, []byte(form)) }) ||
			len(short) >= shortLength && bytes.Contains(body, []byte(`"`+short+`"`))
	}
	return secretTexts{
		occur: func(text string) bool {
			return slices.ContainsFunc(redact.Readings(text), func(reading string) bool {
				reading = strings.ToLower(reading)
				return slices.ContainsFunc(lowered, func(form string) bool { return sharePart(reading, form, leakLength) })
			})
		},
		fill: func(body []byte) bool {
			escaped := bytes.IndexByte(body, '\\') >= 0 || bytes.IndexByte(body, '%') >= 0
			return fills(body) || escaped && slices.ContainsFunc(redact.Readings(string(body))[1:], func(reading string) bool {
				return fills([]byte(reading))
			})
		},
	}
}

func (s secretTexts) occurIn(text string) bool { return s.occur != nil && s.occur(text) }

func (s secretTexts) fillIn(body []byte) bool { return s.fill != nil && s.fill(body) }

// checkBasic refuses what cannot be sent as a name and a password (RFC 7617
// section 2).
func checkBasic(username, password string) error {
	field := ""
	switch {
	case username == "":
		return failf(codes.InvalidArgument, "%s is empty, although there is a password.", userNameField)
	case password == "":
		return failf(codes.InvalidArgument, "%s is empty, although there is a user name.", passwordField)
	case strings.Contains(username, ":"):
		return failf(codes.InvalidArgument, "%s has a colon in it, which no user name can have.", userNameField)
	case strings.ContainsFunc(username, unicode.IsControl):
		field = userNameField
	case strings.ContainsFunc(password, unicode.IsControl):
		field = passwordField
	}
	if field != "" {
		return failf(codes.InvalidArgument, "%s has a line break or a control character in it. Copy it again from the app.", field)
	}
	return nil
}

// ownHeaders are set by the connector or by HTTP itself.
var ownHeaders = []string{
	"Accept", "Accept-Encoding", "Authorization", "Connection", "Content-Length", "Host", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "User-Agent",
}

// checkHeader refuses what cannot be sent as a header. Its errors never repeat a
// value.
func checkHeader(name, value string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return failf(codes.InvalidArgument, "%s has a name in it that is no name of a header.", headersField)
	case slices.Contains(ownHeaders, name):
		return failf(codes.InvalidArgument, "%s has the header %s in it, which the connector sets itself.", headersField, name)
	case value == "" || !httpguts.ValidHeaderFieldValue(value):
		return failf(codes.InvalidArgument, "%s has no value for the header %s, or one that no header can have.", headersField, name)
	}
	return nil
}

// cleanToken removes what is pasted along with a token: white space, quotes, a
// leading "Bearer". Its errors never repeat the value.
func cleanToken(value string) (string, error) {
	token := unquote(strings.TrimSpace(value))
	if word, rest, _ := strings.Cut(token, " "); strings.EqualFold(word, "Bearer") {
		token = unquote(strings.TrimSpace(rest))
	}
	if token == "" {
		return "", failf(codes.InvalidArgument, "%s is empty. Generate a token in the app and put it there.", tokenField)
	}
	for _, r := range token {
		if r <= ' ' || r > '~' {
			return "", failf(codes.InvalidArgument,
				"%s has a space, a line break or a character in it that no token has. Copy it again from the app.", tokenField)
		}
	}
	return token, nil
}

func unquote(s string) string {
	for _, quote := range []string{`"`, `'`, "`"} {
		if len(s) >= 2 && strings.HasPrefix(s, quote) && strings.HasSuffix(s, quote) {
			return strings.TrimSpace(s[1 : len(s)-1])
		}
	}
	return s
}

// writtenForms lists the forms that reveal secrets, each once. What base64
// leaves of a very short one would occur in any text.
func writtenForms(secrets []string) []string {
	var forms []string
	for _, secret := range secrets {
		for _, form := range redact.Forms(secret) {
			if form == secret || len(form) >= leakLength {
				forms = append(forms, form)
			}
		}
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

// sharePart reports whether text holds length characters of secret in a row, or
// all of it if it is shorter.
func sharePart(text, secret string, length int) bool {
	if secret == "" {
		return false
	}
	length = min(length, len(secret))
	for i := 0; i+length <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+length]) {
			return true
		}
	}
	return false
}
