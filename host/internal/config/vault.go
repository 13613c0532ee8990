package config

import (
	"net"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/secret/vault"
)

// Names of keys of a store of the type vault.
const (
	nameAddress  = "address"
	nameLogin    = "login"
	nameMethod   = "method"
	nameToken    = "token"
	nameRole     = "role"
	nameRoleID   = "role-id"
	nameSecretID = "secret-id"
	nameJWT      = "jwt"
	nameTokenAt  = "token-file"
)

var vaultRows = []row[store]{
	plain(Key{
		Name: nameAddress, Example: "https://vault.example.com:8200",
		Meaning: "`vault`: the server's URL, `https`; `http` only on this machine. Required there",
	}, func(l *loader, n *yaml.Node, text string, s *store) {
		s.vault.Address = strings.TrimRight(text, "/")
		if problem := badVaultAddress(text); problem != "" {
			l.report(n, "address %s; it must look like https://vault.example.com:8200", problem)
		}
	}),
	plain(Key{
		Name: "namespace", Example: "team-a",
		Meaning: "`vault`: the namespace of the login and of the secrets. Default: the root namespace",
	}, func(_ *loader, _ *yaml.Node, text string, s *store) { s.vault.Namespace = strings.Trim(text, "/") }),
	path(Key{
		Name: "ca-file", Example: "/etc/ssl/vault-ca.pem",
		Meaning: "`vault`: the certificates in PEM form that the server's certificate may be signed by, from the directory of this file. Default: those of the system",
	}, func(s *store) *string { return &s.vault.CAFile }),
	special(Key{
		Name: nameLogin, Kind: KindSection, Keys: keysOf(loginRows),
		Meaning: "`vault`: how the host logs in. Required there. What it refers to is resolved at each login",
	}, func(l *loader, e entry, s *store) { l.login(e, s) }),
}

var loginRows = []row[vault.Login]{
	choice(Key{
		Name: nameMethod, Required: true, Allowed: []string{vault.MethodToken, vault.MethodAppRole, vault.MethodKubernetes, vault.MethodJWT},
		Meaning: "the method: `token` needs `token`; `approle` needs `role-id`, and `secret-id` unless the role does without; `kubernetes` needs `role`; `jwt` needs `jwt`, and `role` unless the server has a default one",
	}, func(v *vault.Login) *string { return &v.Method }),
	plain(Key{
		Name: "mount", Example: "kubernetes-west",
		Meaning: "where the method is mounted, without `auth/`. Default: the method's name",
	}, func(_ *loader, _ *yaml.Node, text string, v *vault.Login) {
		v.Mount = strings.Trim(strings.TrimPrefix(strings.Trim(text, "/"), "auth/"), "/")
	}),
	credentialOf(nameToken, "${file:/run/secrets/vault-token}", "the token of `token`", func(v *vault.Login) *secret.Template { return &v.Token }),
	credentialOf(nameRoleID, "${file:/run/secrets/role-id}", "the role id of `approle`", func(v *vault.Login) *secret.Template { return &v.RoleID }),
	credentialOf(nameSecretID, "${file:/run/secrets/secret-id}", "the secret id of `approle`", func(v *vault.Login) *secret.Template { return &v.SecretID }),
	plain(Key{
		Name: nameRole, Example: "baton-host",
		Meaning: "the role of `kubernetes` and `jwt`",
	}, func(_ *loader, _ *yaml.Node, text string, v *vault.Login) { v.Role = text }),
	credentialOf(nameJWT, "${file:/run/secrets/identity-token}", "the token of `jwt`", func(v *vault.Login) *secret.Template { return &v.JWT }),
	path(Key{
		Name: nameTokenAt, Example: "/var/run/secrets/tokens/vault",
		Meaning: "the file with the service account's token for `kubernetes`. Default: `" + vault.ServiceAccountToken + "`",
	}, func(v *vault.Login) *string { return &v.TokenFile }),
}

// loginTakes are the keys of a login by method, beside method and mount: those that it needs,
// and those that it may have.
var loginTakes = map[string]struct{ needs, may []string }{
	vault.MethodToken:      {needs: []string{nameToken}},
	vault.MethodAppRole:    {needs: []string{nameRoleID}, may: []string{nameSecretID}},
	vault.MethodKubernetes: {needs: []string{nameRole}, may: []string{nameTokenAt}},
	vault.MethodJWT:        {needs: []string{nameJWT}, may: []string{nameRole}},
}

// credentialOf is a text of a store in which references of basicSchemes are resolved.
func credentialOf(name, example, meaning string, field func(*vault.Login) *secret.Template) row[vault.Login] {
	key := Key{Name: name, References: true, Example: example, Meaning: meaning + "; of references, `env`, `file` and `keyring` only"}
	return special(key, func(l *loader, e entry, v *vault.Login) {
		text, ok := l.text(e.value, name)
		if !ok {
			return
		}
		template, errs := secret.Parse(text)
		for _, err := range errs {
			l.report(e.value, "%s", err.Error())
		}
		for _, reference := range template.References() {
			if !slices.Contains(basicSchemes, reference.Scheme) {
				l.report(e.value, "%s is what a store needs itself, so it cannot be in a store, which may be the same one: use ${env:NAME}, ${file:PATH} or ${keyring:SERVICE/ACCOUNT}", name)
			}
		}
		if name != nameRoleID {
			l.exposure.Secret(name+" of a store", template)
		}
		*field(v) = template
	})
}

// login reads the login of a store of the type vault.
func (l *loader) login(e entry, s *store) {
	given := section(l, e.value, nameLogin, "", loginRows, &s.vault.Login)
	method := s.vault.Login.Method
	takes, ok := loginTakes[method]
	if !ok {
		if !isGiven(given, nameMethod) {
			l.report(e.key, "%s needs %s: %s, %s, %s or %s", nameLogin, nameMethod, vault.MethodToken, vault.MethodAppRole, vault.MethodKubernetes, vault.MethodJWT)
		}
		return
	}
	for _, name := range takes.needs {
		if !isGiven(given, name) {
			l.report(e.key, "a login by %s needs %s", method, name)
		}
	}
	allowed := slices.Concat([]string{nameMethod, "mount"}, takes.needs, takes.may)
	for _, row := range loginRows {
		if one, ok := given[row.Name]; ok && !slices.Contains(allowed, row.Name) {
			l.report(one.key, "%s is not for a login by %s, which takes %s", row.Name, method, strings.Join(allowed, ", "))
		}
	}
}

// vault returns a store of the type vault: the one that there was, where its entry is the
// same, which may be logged in.
func (l *loader) vault(e entry, s *store, given map[string]entry, references *secret.Resolver) secret.Store {
	for _, name := range []string{nameAddress, nameLogin} {
		if !isGiven(given, name) {
			l.report(e.key, "store %s needs %s", settings.QuotedName(s.name), name)
		}
	}
	if before, ok := l.before.Store(s.name).(*vault.Store); ok && before.Has(s.vault) {
		return before
	}
	return vault.New(s.vault, references)
}

// badVaultAddress is what is wrong with the address of a server; empty: nothing.
func badVaultAddress(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return "is not a URL with a host"
	case u.User != nil:
		return "has a user name or password in it"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "has a query or a fragment"
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "does not begin with https, so that tokens and secrets would be readable on the way"
	case u.Scheme != "https" && u.Scheme != "http":
		return "does not begin with https"
	}
	return ""
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
