package aggregate

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// Passwords stands between C1, which encrypts a password that somebody has chosen
// for an account with the key of the upload, and a plugin, which must not have that
// key.
type Passwords interface {
	// Reencrypt returns the password for the plugin's own key. Its errors, like its
	// logs, never hold a password.
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
