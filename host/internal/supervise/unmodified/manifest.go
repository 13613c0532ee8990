package unmodified

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/internal/schema"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// The commands of a connector that tell what it is. They are run without its
// configuration.
var (
	// SchemaCommand prints the configuration schema; every connector of a
	// recent SDK has it.
	SchemaCommand = []string{"config"}
	// VersionCommand prints a line with the version.
	VersionCommand = []string{"--version"}
	// CapabilitiesCommand prints what the connector can do. It fails where the
	// author did not say so for a connector without configuration.
	CapabilitiesCommand = []string{"capabilities"}
)

// Told is what these commands of one connector printed; "" for one that failed.
type Told struct {
	Schema, Version, Capabilities string
}

// ownFields are fields of every connector that the host decides on by itself.
var ownFields = []string{
	"log-level", "log-level-debug-expires-at", "log-format", "client-id", "client-secret", "provisioning", "ticketing",
	"health-check", "health-check-port", "health-check-bind-address",
}

// Manifest puts what a connector tells of itself into the contract's words. path
// is its executable, after which it is named if it does not say how.
func Manifest(path string, build Build, told Told) (*pluginv1.Manifest, error) {
	if told.Schema == "" {
		return nil, errors.New("its config command, by which an unmodified connector says what configuration it takes, does not work; " +
			"use a release of the connector that is built with a later baton-sdk")
	}
	encoded := &configv1.Configuration{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(told.Schema), encoded); err != nil {
		return nil, fmt.Errorf("its config command does not print a configuration schema: %w", err)
	}
	encoded.SetFields(slices.DeleteFunc(encoded.GetFields(), func(f *configv1.Field) bool {
		return f.GetIsOps() && slices.Contains(ownFields, f.GetName())
	}))
	configuration, err := schema.Translate(encoded)
	if err != nil {
		return nil, fmt.Errorf("its configuration schema: %w", err)
	}

	name, version := nameAndVersion(told.Version)
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(path), ".exe")
	}
	manifest := &pluginv1.Manifest{
		Name: name, Version: version, SdkVersion: build.SDKVersion,
		DisplayName: encoded.GetDisplayName(), HelpUrl: encoded.GetHelpUrl(), IconUrl: encoded.GetIconUrl(),
		Configuration: configuration,
	}
	if capabilities := readCapabilities(told.Capabilities); capabilities != nil {
		manifest.Capabilities = schema.Capabilities(capabilities)
	}
	return manifest, nil
}

// readCapabilities reads what the capabilities command prints. It returns nil for
// what it does not understand: the configured connector tells it too.
func readCapabilities(printed string) *connectorv2.ConnectorCapabilities {
	if printed == "" {
		return nil
	}
	packed := &anypb.Any{}
	capabilities := &connectorv2.ConnectorCapabilities{}
	if protojson.Unmarshal([]byte(printed), packed) != nil || packed.UnmarshalTo(capabilities) != nil {
		return nil
	}
	return capabilities
}

// unknownVersion is the version of a connector that tells none: a manifest has
// one.
const unknownVersion = "unknown"

// nameAndVersion reads "baton-github version v1.2.3", which is what the SDK's
// command line prints.
func nameAndVersion(printed string) (name, version string) {
	line, _, _ := strings.Cut(strings.TrimSpace(printed), "\n")
	name, version, found := strings.Cut(line, " version ")
	if !found || strings.ContainsRune(name, ' ') || strings.TrimSpace(version) == "" {
		return "", unknownVersion
	}
	return name, strings.TrimSpace(version)
}
