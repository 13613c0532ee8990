package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/secret/helper"
	"github.com/batonhost/baton-host/host/internal/secret/keyring"
	"github.com/batonhost/baton-host/host/internal/secret/vault"
)

// basicSchemes are those that what a store or a helper needs itself may be in, so that no
// store waits for another one, or for itself.
var basicSchemes = []string{secret.SchemeEnv, secret.SchemeFile, secret.SchemeKeyring}

// Names of types of stores.
const (
	storeVault    = "vault"
	storeAWSSM    = "aws-sm"
	storeAWSSSM   = "aws-ssm"
	nameStoreType = "type"
)

var helperRows = []row[helper.Settings]{
	special(Key{
		Name: NameCommand, Kind: KindWords, Required: true, Example: "[op, read]",
		Meaning: "the program and its first arguments as a list; those of the reference follow. It writes the secret to standard output, as it is or as one JSON object with `value`, `expires-at` and `version`",
	}, func(l *loader, e entry, h *helper.Settings) { h.Path, h.Args = l.words(e) }),
	variableNames(Key{
		Name: "env", Example: "[AWS_PROFILE]",
		Meaning: "names of environment variables that the program may see beyond `PATH`, `HOME`, proxies and certificates",
	}, func(h *helper.Settings) *[]string { return &h.Env }),
	duration(Key{
		Name: "timeout", Default: "10s", Least: second, Most: 20 * second, Example: "10s",
		Meaning: "how long the program may take",
	}, func(h *helper.Settings) *time.Duration { return &h.Timeout }),
}

// store is an entry of secret-stores.
type store struct {
	name  string
	kind  string // of the types above
	vault vault.Settings
	aws   helper.AWS
}

var storeRows = slices.Concat([]row[store]{
	choice(Key{
		Name: nameStoreType, Allowed: []string{storeVault, storeAWSSM, storeAWSSSM}, Example: "vault, aws-sm or aws-ssm",
		Meaning: "`vault` (HashiCorp Vault and OpenBao), `aws-sm` (AWS Secrets Manager) or `aws-ssm` (AWS Systems Manager Parameter Store). Default: the store's name",
	}, func(s *store) *string { return &s.kind }),
}, vaultRows, awsRows)

// awsRows are the keys of the types aws-sm and aws-ssm.
var awsRows = []row[store]{
	plain(Key{
		Name: "region", Example: "eu-central-1",
		Meaning: "the region, for `aws-sm` and `aws-ssm`. Default: that of the AWS environment or profile",
	}, func(_ *loader, _ *yaml.Node, text string, s *store) { s.aws.Region = text }),
	plain(Key{
		Name: "profile", Example: "production",
		Meaning: "the profile of the AWS configuration files, for `aws-sm` and `aws-ssm`",
	}, func(_ *loader, _ *yaml.Node, text string, s *store) { s.aws.Profile = text }),
	plain(Key{
		Name: "endpoint", Example: "https://vpce-0a1b.secretsmanager.eu-central-1.vpce.amazonaws.com",
		Meaning: "the URL of the service, for `aws-sm` and `aws-ssm`. Default: that of the region",
	}, (*loader).awsEndpoint),
}

// awsEndpoint reads the URL of a service.
func (l *loader) awsEndpoint(n *yaml.Node, text string, s *store) {
	endpoint, err := url.Parse(text)
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http" || endpoint.User != nil {
		l.report(n, "endpoint must be the URL of a service, such as https://HOST")
		return
	}
	s.aws.Endpoint = text
}

// onlyFor reports keys that a store has and that are for other types.
func (l *loader) onlyFor(given map[string]entry, rows []row[store], types string) {
	for _, row := range rows {
		if e, ok := given[row.Name]; ok {
			l.report(e.key, "%s is for a store of type %s", row.Name, types)
		}
	}
}

// stores returns the stores that references can name.
func (l *loader) stores(helpers, stores *yaml.Node) map[string]secret.Store {
	basic := map[string]secret.Store{
		secret.SchemeEnv:     secret.Variables(l.lookup),
		secret.SchemeFile:    secret.Files(l.dir),
		secret.SchemeKeyring: keyring.New(),
	}
	all := maps.Clone(basic)
	all[secret.SchemeExec] = helper.New(l.helpers(helpers))
	for _, e := range l.entries(stores, NameStores) {
		name := e.key.Value
		l.checkName(e.key, "store name")
		if slices.Contains(basicSchemes, name) || name == secret.SchemeExec {
			l.report(e.key, "%s is a scheme that every configuration has; give the store another name", settings.QuotedName(name))
			continue
		}
		l.config.stores = append(l.config.stores, name)
		s := store{name: name}
		given := section(l, e.value, "store "+settings.QuotedName(name), "", storeRows, &s)
		if s.kind == "" {
			s.kind = name
		}
		if s.kind != storeVault {
			l.onlyFor(given, vaultRows, storeVault)
		}
		switch s.kind {
		case storeVault:
			l.onlyFor(given, awsRows, "aws-sm or aws-ssm")
			all[name] = l.vault(e, &s, given, secret.NewResolver(basic))
		case storeAWSSM:
			s.aws.Service = helper.SecretsManager
			all[name] = s.aws
		case storeAWSSSM:
			s.aws.Service = helper.ParameterStore
			all[name] = s.aws
		default:
			l.report(e.key, "store %s needs its type: vault, aws-sm or aws-ssm", settings.QuotedName(name))
		}
	}
	return all
}

// fileReference is a reference to a file.
var fileReference = regexp.MustCompile(`\$\{file:([^}]+)\}`)

// filesNamedIn returns the files that references in sections name, and those that are there
// of which the path is written.
func (l *loader) filesNamedIn(sections ...*yaml.Node) []string {
	var paths []string
	for _, section := range sections {
		if section == nil {
			continue
		}
		for _, reference := range fileReference.FindAllStringSubmatch(section.Value, -1) {
			paths = append(paths, files.Within(l.dir, reference[1]))
		}
		if path := files.Within(l.dir, section.Value); section.Kind == yaml.ScalarNode && strings.Contains(section.Value, "/") {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 == 0 {
				paths = append(paths, path)
			}
		}
		paths = append(paths, l.filesNamedIn(section.Content...)...)
	}
	return paths
}

// StoreFiles returns the files by which stores of secrets and helpers are opened: of logins,
// and of the commands of helpers.
func (c *Config) StoreFiles() []string { return c.storeFiles }

// describe returns a text that differs where the sections do. It does not show what is in
// them: that may be a secret.
func describe(sections ...*yaml.Node) string {
	sum := sha256.New()
	for i, section := range sections {
		if section == nil {
			continue
		}
		text, _ := yaml.Marshal(section) // It has just been parsed.
		_, _ = fmt.Fprintf(sum, "%d %d\n%s", i, len(text), text)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// helpers are the programs that return secrets, by name.
func (l *loader) helpers(n *yaml.Node) map[string]helper.Settings {
	helpers := map[string]helper.Settings{}
	for _, e := range l.entries(n, NameHelpers) {
		l.checkName(e.key, "helper name")
		var h helper.Settings
		setDefaults(helperRows, &h)
		what := "helper " + settings.QuotedName(e.key.Value)
		if given := section(l, e.value, what, "", helperRows, &h); given[NameCommand].key == nil {
			l.report(e.key, "%s needs command: the program that returns the secret", what)
		}
		helpers[e.key.Value] = h
	}
	return helpers
}
