package scim

import (
	"net"
	"net/url"
	"strings"
	"unicode"

	"google.golang.org/grpc/codes"
)

// The fields of the configuration as people see them, for messages.
const (
	baseURLField      = `"SCIM Base URL" (scim-base-url)`
	tokenField        = `"SCIM Token" (scim-token)`
	userNameField     = `"User Name" (scim-username)`
	passwordField     = `"Password" (scim-password)`
	clientIDField     = `"Client ID" (scim-client-id)`
	clientSecretField = `"Client Secret" (scim-client-secret)`
	tokenURLField     = `"Token URL" (scim-token-url)`
	scopesField       = `"Scopes" (scim-scopes)`
	clientFields      = clientIDField + " and " + clientSecretField
	headersField      = `"Extra Headers" (scim-headers)`
	filterField       = `"User Filter" (scim-filter)`
	hiddenField       = `"SCIM Hidden Users" (scim-hidden-users)`
	groupsField       = `"Sync Groups" (scim-groups)`
	rolesField        = `"Sync Roles" (scim-roles)`
	loginField        = `"Login Attribute" (scim-login-attribute)`
	emailField        = `"E-mail Attribute" (scim-email-attribute)`
	profileField      = `"Profile Attributes" (scim-profile-attributes)`
)

// cleanBaseURL turns what a person pasted into the URL below which the
// endpoints live: no trailing slash, no /Users, lower-case scheme and host.
//
// It refuses what could send the token elsewhere or in clear text (no https,
// unless the host is this machine; user information) and what has no meaning in
// a base URL (query, fragment). Its errors never repeat the value: it may hold
// a secret, or be the token, put into the wrong field.
func cleanBaseURL(value string) (*url.URL, error) {
	value = strings.TrimSpace(value)
	if value == "" {
		return nil, badBaseURL("is empty")
	}
	if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return nil, badBaseURL("has a space, a line break or a control character in it")
	}

	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return nil, badBaseURL("is not a URL")
	}
	u.Host = strings.ToLower(u.Host)

	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, badBaseURL("does not begin with https://")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, badBaseURL("begins with http://, which would send the token in clear text")
	case u.User != nil:
		return nil, badBaseURL("has a user name or password in it")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, badBaseURL("has a query (the part from the question mark on)")
	case u.Fragment != "":
		return nil, badBaseURL("has a fragment (the part from the # on)")
	}

	// JoinPath with nothing cleans doubled slashes and keeps escapes.
	u = u.JoinPath()
	path := strings.TrimRight(u.EscapedPath(), "/")
	if cut := len(path) - len("/users"); cut >= 0 && strings.EqualFold(path[cut:], "/users") {
		path = strings.TrimRight(path[:cut], "/")
	}
	u.RawPath = path
	if u.Path, err = url.PathUnescape(path); err != nil {
		return nil, badBaseURL("is not a URL")
	}
	return u, nil
}

func badBaseURL(what string) error {
	return failf(codes.InvalidArgument,
		"%s %s. It must look like https://host/scim/v2, as the app shows it.", baseURLField, what)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// origin is scheme, host and port of u (RFC 6454 section 4): where the token
// may be sent.
func origin(u *url.URL) string {
	scheme := strings.ToLower(u.Scheme)
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
