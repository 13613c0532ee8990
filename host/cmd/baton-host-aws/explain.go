package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// class is a kind of refusal that AWS has several codes for.
type class struct {
	codes  []string
	isAway bool
	// sentence goes on from "AWS in REGION "; %s is for the permissions, if it is there.
	sentence string
}

var classes = []class{
	{[]string{"ResourceNotFoundException", "ParameterNotFound"}, false, "has no secret of this name in this account and region; correct the name, or the store's region and profile"},
	{[]string{"ParameterVersionNotFound", "ParameterVersionLabelNotFound"}, false, "has the parameter, and not this version of it"},
	{[]string{"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"}, false, "refuses access to the secret; allow the host's role or user %s"},
	{[]string{"ExpiredTokenException", "ExpiredToken", "RequestExpired"}, true, "says that the host's credentials have expired; renew them (aws sso login), or give the host a role that renews itself"},
	{[]string{"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "InvalidAccessKeyId"}, false, "does not accept the host's credentials; correct the access key and its secret, and look at the clock of this machine"},
	{[]string{"RequestTimeTooSkewed"}, true, "says that the clock of this machine is wrong; correct it"},
	{[]string{"InvalidRequestException"}, false, "has the secret and does not give it out: it is to be deleted, or has no current version; restore it"},
	{[]string{"DecryptionFailure", "InvalidKeyId", "KMSAccessDeniedException"}, false, "cannot decrypt the secret; allow the host's role or user kms:Decrypt with the secret's key"},
	{[]string{"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "ProvisionedThroughputExceededException"}, true, "is asked too often in this account; it is asked again later"},
	{[]string{"ValidationException", "InvalidParameterException"}, false, "does not accept the name of the secret; correct it"},
}

// explain returns a sentence about an error, and whether it may pass.
func explain(ctx context.Context, err error, q question) (sentence string, isAway bool) {
	if _, ours := errors.AsType[faultError](err); ours || q.name == "" {
		return err.Error(), false
	}
	if isOfCredentials(err) {
		return uncredentialed(err), true
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return q.refused(api, statusOf(err))
	}
	if _, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return fmt.Sprintf("there is no profile %q in the AWS configuration files of the host's user; AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name others", q.profile), false
	}
	if _, ok := errors.AsType[config.SharedConfigLoadError](err); ok {
		return "the AWS configuration files of the host's user cannot be read; correct them", false
	}
	if ctx.Err() != nil {
		return fmt.Sprintf("%s did not answer within %s", q.where(), patience), true
	}
	if reason := unreached(err); reason != "" {
		return fmt.Sprintf("%s cannot be reached: %s", q.where(), reason), true
	}
	return q.where() + " gave an answer that is none of the service; look at the store's endpoint, and at proxies", true
}

// refused returns a sentence about what AWS has refused. The message of AWS is left out: that
// about a signature repeats the request with the session's token.
func (q question) refused(api smithy.APIError, status int) (sentence string, isAway bool) {
	for _, c := range classes {
		if slices.Contains(c.codes, api.ErrorCode()) {
			sentence := c.sentence
			if c.codes[0] == "AccessDeniedException" {
				sentence = fmt.Sprintf(sentence, q.permissions())
			}
			return fmt.Sprintf("%s %s (%s)", q.where(), sentence, api.ErrorCode()), c.isAway
		}
	}
	isAway = api.ErrorFault() == smithy.FaultServer || status >= http.StatusInternalServerError || status == http.StatusTooManyRequests
	return fmt.Sprintf("%s answered with status %d%s", q.where(), status, codeOf(api)), isAway
}

// codeForm is the form of the codes of AWS, such as KMSInternalException.
var codeForm = regexp.MustCompile(`^[A-Za-z]{0,40}[a-z][a-z][A-Za-z]{0,40}$`)

// codeOf returns a code in brackets. One that is of another form is left out: what answers may
// be no service of AWS, and whatever stands there part of a secret.
func codeOf(api smithy.APIError) string {
	if !codeForm.MatchString(api.ErrorCode()) {
		return ""
	}
	return " (" + api.ErrorCode() + ")"
}

// statusOf returns the status of the answer; 0 where there is none.
func statusOf(err error) int {
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}

// unreached returns why a connection failed; empty: it did not.
func unreached(err error) string {
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return "there is no address of " + name.Name
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		return operation.Error()
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err.Error() // Without the URL, which may have a token in it.
	}
	return ""
}

// isOfCredentials reports whether the request was not sent, for want of credentials.
func isOfCredentials(err error) bool {
	text := err.Error()
	return slices.ContainsFunc([]string{"get credentials", "retrieve credentials", "refresh cached credentials"}, func(words string) bool {
		return strings.Contains(text, words)
	})
}

// uncredentialed returns a sentence about credentials that could not be had. It may pass: a
// role's come from a service, and a login's are renewed by a person.
func uncredentialed(err error) string {
	if _, ok := errors.AsType[*ssocreds.InvalidTokenError](err); ok {
		return "the login to AWS has expired; renew it (aws sso login) as the host's user"
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return fmt.Sprintf("AWS does not give the host its credentials%s; correct the role or the profile that it uses", codeOf(api))
	}
	return "there are no credentials for AWS: give the host a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
}
