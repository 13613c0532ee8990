// Command baton-careless is a connector for tests that gives its secrets away in
// the ways in which careless programs do.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/plugin"
)

// Config is the connector's configuration.
type Config struct {
	Token  string   `mapstructure:"token"`
	Keys   []string `mapstructure:"keys"`
	Habit  string   `mapstructure:"habit"`
	SignAt string   `mapstructure:"sign-at"`
}

// GetString and the others are what the SDK validates a configuration by.
func (c *Config) GetString(name string) string {
	return map[string]string{"token": c.Token, "habit": c.Habit, "sign-at": c.SignAt}[name]
}

// GetStringSlice is a list's values.
func (c *Config) GetStringSlice(string) []string { return c.Keys }

// GetBool has no field.
func (*Config) GetBool(string) bool { return false }

// GetInt has no field.
func (*Config) GetInt(string) int { return 0 }

// GetStringMap has no field.
func (*Config) GetStringMap(string) map[string]any { return nil }

// realStderr is standard error before go-plugin replaces it.
var realStderr = os.Stderr

func main() {
	schema := field.NewConfiguration([]field.SchemaField{
		field.StringField("token", field.WithRequired(true), field.WithIsSecret(true)),
		field.StringSliceField("keys", field.WithIsSecret(true)),
		field.StringField("habit", field.WithDescription("how to give the secrets away")),
		field.StringField("sign-at", field.WithDescription("a file to write when at it, and to wait for until it is gone")),
	})
	plugin.Run(context.Background(), "baton-careless", "1.0.0", schema, func(ctx context.Context, c *Config, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
		if c.Habit == "refuse" {
			return nil, nil, fmt.Errorf("cannot be built with %s", strings.Join(forms(c.Token), " and "))
		}
		return &app{config: c}, nil, nil
	})
}

// forms are the ways in which programs write a text down.
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret)
	twice, _ := json.Marshal(string(quoted))
	all := []string{
		secret, string(quoted), string(twice), strconv.Quote(secret), strconv.QuoteToASCII(secret),
		"https://x/?t=" + url.QueryEscape(secret), "https://x/" + url.PathEscape(secret),
		"https://x/?t=" + strings.ToLower(url.QueryEscape("/+")) + url.QueryEscape(secret),
		url.QueryEscape(url.QueryEscape(secret)),
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		for _, before := range []string{"", "a", "ab"} {
			all = append(all, encoding.EncodeToString([]byte(before+secret)), encoding.EncodeToString([]byte(before+secret+"after")))
		}
	}
	return append(all, strings.Split(secret, "\n")...)
}

type app struct{ config *Config }

func (a *app) secrets() []string { return append([]string{a.config.Token}, a.config.Keys...) }

func (a *app) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	return v2.ConnectorMetadata_builder{DisplayName: "Careless"}.Build(), nil
}

func (a *app) Validate(ctx context.Context) (annotations.Annotations, error) {
	if a.config.SignAt != "" {
		if err := os.WriteFile(a.config.SignAt, nil, 0o600); err != nil {
			return nil, err
		}
		for {
			if _, err := os.Stat(a.config.SignAt); errors.Is(err, os.ErrNotExist) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil, a.giveAway(ctx)
}

// giveAway gives the secrets away by habit.
func (a *app) giveAway(ctx context.Context) error {
	for _, secret := range a.secrets() {
		a.say(ctx, secret)
	}
	switch a.config.Habit {
	case "fail":
		return a.fail()
	case "panic":
		return a.panic()
	}
	return nil
}

// say logs a secret with everything that there is to log with.
func (a *app) say(ctx context.Context, secret string) {
	for i, form := range forms(secret) {
		fmt.Fprintf(realStderr, "standard error %d: %s\n", i, form)
		fmt.Fprintf(os.Stderr, "os.Stderr %d: %s\n", i, form)
		fmt.Fprintf(os.Stdout, "os.Stdout %d: %s\n", i, form)
		log.Printf("log %d: %s", i, form)
		ctxzap.Extract(ctx).Info("zap: "+form, zap.String("form", form), zap.Any("deep", map[string]any{"headers": []string{"Bearer " + form}}), zap.String(form, "a key"))
	}
	// The line is cut within the secret, wherever that is.
	for i := range len(secret) {
		fmt.Fprintln(realStderr, strings.Repeat("x", 16<<10-i-1)+secret)
	}
}

func (a *app) fail() error {
	text := strings.Join(forms(a.config.Token), " and ")
	told, err := status.New(codes.PermissionDenied, "refused: "+text).WithDetails(
		&errdetails.ErrorInfo{Reason: "REFUSED", Metadata: map[string]string{"token": text, "k " + text: "v"}},
		&errdetails.DebugInfo{StackEntries: []string{text}},
	)
	if err != nil {
		return err
	}
	return told.Err()
}

func (a *app) panic() error {
	go func() { panic("cannot go on with " + strings.Join(a.secrets(), " and ")) }()
	select {}
}

func (a *app) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{a}
}

var userType = v2.ResourceType_builder{
	Id: "user", DisplayName: "User", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}, Annotations: annotations.New(&v2.SkipEntitlementsAndGrants{}),
}.Build()

// ResourceType is users.
func (a *app) ResourceType(context.Context) *v2.ResourceType { return userType }

// List is one user.
func (a *app) List(ctx context.Context, _ *v2.ResourceId, _ resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if err := a.giveAway(ctx); err != nil {
		return nil, nil, err
	}
	one, err := resource.NewUserResource("ann", userType, "ann", []resource.UserTraitOption{resource.WithUserLogin("ann")})
	return []*v2.Resource{one}, nil, err
}

// Entitlements are none.
func (a *app) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

// Grants are none.
func (a *app) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, nil, nil
}
