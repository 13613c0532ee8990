package aggregate

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
)

// needsProvisioning says of every capability whether the calls behind it
// change something in an app. One that is not here counts as one that does.
var needsProvisioning = map[v2.Capability]bool{
	v2.Capability_CAPABILITY_PROVISION:                  true,
	v2.Capability_CAPABILITY_ACCOUNT_PROVISIONING:       true,
	v2.Capability_CAPABILITY_CREDENTIAL_ROTATION:        true,
	v2.Capability_CAPABILITY_CREDENTIAL_ISSUE:           true,
	v2.Capability_CAPABILITY_RESOURCE_CREATE:            true,
	v2.Capability_CAPABILITY_RESOURCE_DELETE:            true,
	v2.Capability_CAPABILITY_ACTIONS:                    true,
	v2.Capability_CAPABILITY_TICKETING:                  true,
	v2.Capability_CAPABILITY_UNSPECIFIED:                false,
	v2.Capability_CAPABILITY_SYNC:                       false,
	v2.Capability_CAPABILITY_SYNC_SECRETS:               false,
	v2.Capability_CAPABILITY_TARGETED_SYNC:              false,
	v2.Capability_CAPABILITY_SERVICE_MODE_TARGETED_SYNC: false,
	v2.Capability_CAPABILITY_EVENT_FEED:                 false,
	v2.Capability_CAPABILITY_EVENT_FEED_V2:              false,
}

// permitted refuses a call that changes something in an app that the operator
// has not opened for changes.
func (p *plugin) permitted(method, doing string) error {
	if p.Provisioning || !policy.Changes(method) {
		return nil
	}
	return p.refused(codes.FailedPrecondition, doing,
		"the plugin may not change anything in its app; to let it, set `provisioning: true` in its entry of the configuration")
}

// withheld says whether a capability of the plugin is not to be offered.
func (p *plugin) withheld(c v2.Capability) bool {
	needs, known := needsProvisioning[c]
	return !p.Provisioning && (needs || !known)
}

// abilities are all capabilities that a plugin has, for the whole connector or
// for one of its resource types.
type abilities map[v2.Capability]bool

func (p *plugin) learnAbilities(metadata *v2.ConnectorMetadata) abilities {
	all := abilities{}
	for _, c := range metadata.GetCapabilities().GetConnectorCapabilities() {
		all[c] = true
	}
	for _, t := range metadata.GetCapabilities().GetResourceTypeCapabilities() {
		for _, c := range t.GetCapabilities() {
			all[c] = true
		}
	}
	p.abilities.Store(&all)
	return all
}

// able says whether the plugin has one of the capabilities. It is asked for
// its metadata if that was never read.
func (p *plugin) able(ctx context.Context, capabilities ...v2.Capability) (bool, error) {
	known := p.abilities.Load()
	if known == nil {
		answer := &v2.ConnectorServiceGetMetadataResponse{}
		err := p.askSoon(ctx, v2.ConnectorService_GetMetadata_FullMethodName, &v2.ConnectorServiceGetMetadataRequest{}, answer)
		if err != nil {
			recalled := p.aggregate.memory.Recall(p.Instance)
			if recalled == nil || ctx.Err() != nil {
				return false, err
			}
			answer.SetMetadata(recalled)
		}
		learned := p.learnAbilities(answer.GetMetadata())
		known = &learned
	}
	for _, c := range capabilities {
		if (*known)[c] {
			return true, nil
		}
	}
	return false, nil
}

// maxAsking is how long a plugin may take to report what it can do, retries
// included. A call for another plugin waits that long for one that is down.
const maxAsking = 30 * time.Second

// askSoon is ask within maxAsking.
func (p *plugin) askSoon(ctx context.Context, method string, request, reply proto.Message) error {
	defer p.hold(ctx, method)()
	limit := min(maxAsking, p.aggregate.retries.CallTimeout)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := p.ask(limited, method, request, reply, nil)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return p.refused(codes.Aborted, describe(method, request), "it did not answer within %s", policy.Rounded(limit))
	}
	return err
}

// onlyAble is the one of several plugins that has one of the capabilities; it
// is for calls that name no plugin. doing says what the call does, and want
// what a request would have to name for more than one plugin. A plugin that
// cannot be asked may be one of several, so that none is chosen then: the wrong
// app would get the account.
func (a *Aggregate) onlyAble(ctx context.Context, candidates []*plugin, doing, want string, capabilities ...v2.Capability) (*plugin, error) {
	var unknown []error
	var able []*plugin
	type verdict struct {
		able bool
		err  error
	}
	verdicts, err := fanOut(ctx, candidates, func(ctx context.Context, p *plugin) (verdict, error) {
		able, err := p.able(ctx, capabilities...)
		return verdict{able: able, err: err}, nil
	})
	if err != nil {
		return nil, err
	}
	for i, v := range verdicts {
		switch {
		case v.err != nil:
			unknown = append(unknown, v.err)
		case v.able:
			able = append(able, candidates[i])
		}
	}
	switch {
	case len(able) > 1:
		return nil, status.Errorf(codes.InvalidArgument, "%s: the plugins %s all could; %s", doing, instances(able), want)
	case len(unknown) > 0:
		return nil, join(unknown)
	case len(able) == 1:
		return able[0], nil
	}
	return nil, status.Errorf(codes.Unimplemented, "%s: none of the plugins %s does", doing, instances(candidates))
}

// createAccount routes an account of no resource type: to the only plugin that
// may create accounts and does.
func (a *Aggregate) createAccount(ctx context.Context, request *v2.CreateAccountRequest, reply proto.Message, opts []grpc.CallOption) error {
	const method = v2.AccountManagerService_CreateAccount_FullMethodName
	const doing = "creating an account of no resource type"
	if len(a.plugins) == 1 {
		return a.plugins[0].call(ctx, method, request, reply, opts)
	}
	var open []*plugin
	for _, p := range a.plugins {
		if p.Provisioning {
			open = append(open, p)
		}
	}
	if len(open) == 0 {
		return status.Errorf(codes.FailedPrecondition,
			"%s: none of the plugins %s may change anything in its app; to let one, set `provisioning: true` in its entry of the configuration", doing, instances(a.plugins))
	}
	p, err := a.onlyAble(ctx, open, doing, "the request must name the resource type of the account", v2.Capability_CAPABILITY_ACCOUNT_PROVISIONING)
	if err != nil {
		return err
	}
	return p.call(ctx, method, request, reply, opts)
}

// Passwords mediates between C1, which encrypts a password that a person has chosen
// for an account with the key of the upload, and a plugin, which must not have that
// key.
type Passwords interface {
	// Reencrypt returns the password for the plugin's own key. Its errors, like its
	// logs, never have a password in them.
	Reencrypt(ctx context.Context, passwords []*v2.EncryptedData) ([]*v2.EncryptedData, error)
}

// reencrypt puts passwords that the plugin can read into its request. That it
// cannot be done is final: the same request fails again.
func (p *plugin) reencrypt(ctx context.Context, doing string, request proto.Message) error {
	of, ok := request.(interface{ GetCredentialOptions() *v2.CredentialOptions })
	if !ok || p.Passwords == nil {
		return nil
	}
	chosen := of.GetCredentialOptions().GetEncryptedPassword()
	if len(chosen.GetEncryptedPasswords()) == 0 {
		return nil
	}
	passwords, err := p.Passwords.Reencrypt(ctx, chosen.GetEncryptedPasswords())
	if err != nil {
		return p.failed(codes.InvalidArgument, doing, err, "")
	}
	chosen.SetEncryptedPasswords(passwords)
	return nil
}
