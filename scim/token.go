package scim

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc/codes"
)

// leakLength is how many characters of the token in a row count as a leak.
// Shorter pieces occur by chance, for example an app's name with which its
// tokens begin.
const leakLength = 12

// credential holds the bearer token inside two closures, so that printing a
// struct that contains it (%v, JSON, a debugger's log) shows no token.
type credential struct {
	authorize func(*http.Request)
	// occursIn says whether text holds the token or a telling part of it,
	// plain, URL-encoded or in base64.
	occursIn func(text string) bool
}

// newCredential takes a token that is clean.
func newCredential(token string) credential {
	forms := writtenForms(token)
	return credential{
		authorize: func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
		occursIn: func(text string) bool {
			text = strings.ToLower(text)
			for _, form := range forms {
				if sharePart(text, form, leakLength) {
					return true
				}
			}
			return false
		},
	}
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

// writtenForms lists the ways, in lower case, in which a server or a proxy
// could write the token into an answer.
func writtenForms(token string) []string {
	forms := []string{token, url.QueryEscape(token), url.PathEscape(token)}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		// What precedes the token shifts its base64 form by 0, 1 or 2 bytes.
		for shift := range 3 {
			encoded := encoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + token))
			// The characters at both ends also depend on the neighbours. What is
			// left of a very short token would occur in any text.
			if form := strings.TrimRight(encoded, "=")[shift+1:]; len(form) > leakLength {
				forms = append(forms, form[:len(form)-1])
			}
		}
	}
	for i := range forms {
		forms[i] = strings.ToLower(forms[i])
	}
	return forms
}

// sharePart says whether text holds length characters of secret in a row, or
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
