package objects

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// bucket is a store in a bucket of an S3 server.
type bucket struct {
	location Location
	client   *minio.Core
}

const (
	// attempts is how often a request is sent that may succeed the next time.
	attempts = 3
	// largest is what S3 takes in one request, in bytes.
	largest = 5 << 30
	// usualEndpoint is that of AWS, and anyRegion what other servers take for a region.
	usualEndpoint, anyRegion = "s3.amazonaws.com", "us-east-1"
)

func openBucket(l Location) (*bucket, error) {
	region := cmp.Or(l.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
	lookup := minio.BucketLookupDNS
	if l.Endpoint != "" {
		region, lookup = cmp.Or(region, anyRegion), minio.BucketLookupPath
	}
	if region == "" {
		return nil, &Error{Text: fmt.Sprintf("the region of %s is not known: write ?region=eu-central-1 behind it, or set AWS_REGION", l), IsFinal: true}
	}
	transport, err := minio.DefaultTransport(!l.Plain)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to %s: %w", l, err)
	}
	client, err := minio.NewCore(cmp.Or(l.Endpoint, usualEndpoint), &minio.Options{
		Creds: credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{
			Client: &http.Client{Transport: transport},
		}}),
		Secure: !l.Plain, Transport: transport, Region: region, BucketLookup: lookup, MaxRetries: attempts,
	})
	if err != nil {
		return nil, &Error{Text: fmt.Sprintf("%s is no place for the shared state: %s", l, err), IsFinal: true, Cause: err}
	}
	return &bucket{l, client}, nil
}

func (b *bucket) String() string          { return b.location.String() }
func (b *bucket) Path(name string) string { return b.location.String() + "/" + name }

// key is an object's name in the bucket.
func (b *bucket) key(name string) string {
	return strings.TrimPrefix(b.location.Prefix+"/"+name, "/")
}

func (b *bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	content, _, _, err := b.client.GetObject(ctx, b.location.Bucket, b.key(name), minio.GetObjectOptions{})
	if err != nil {
		return nil, b.failed(ctx, "read", name, err)
	}
	return &body{ReadCloser: content, failed: func(err error) error { return b.failed(ctx, "read", name, err) }}, nil
}

// body is a body whose errors are in sentences.
type body struct {
	io.ReadCloser
	failed func(error) error
}

func (b *body) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.failed(err)
	}
	return n, err
}

func (b *bucket) Put(ctx context.Context, name string, content io.ReadSeeker, bytes int64, sum string) error {
	if bytes > largest {
		return &Error{Text: fmt.Sprintf("%s has %d bytes, and S3 takes at most %d at once: split the upload, or share a directory", b.Path(name), bytes, int64(largest)), IsFinal: true}
	}
	return b.put(ctx, name, content, bytes, sum, minio.PutObjectOptions{})
}

func (b *bucket) Create(ctx context.Context, name string, content []byte) error {
	unless := minio.PutObjectOptions{}
	unless.SetMatchETagExcept("*")
	sum := sha256.Sum256(content)
	for attempt := 1; ; attempt++ {
		err := b.put(ctx, name, bytes.NewReader(content), int64(len(content)), hex.EncodeToString(sum[:]), unless)
		answer, _ := errors.AsType[minio.ErrorResponse](err)
		if answer.StatusCode != http.StatusConflict || attempt == attempts {
			return err
		}
		// Another host creates it at this moment: who is first is not decided yet.
		select {
		case <-ctx.Done():
			return err
		case <-time.After(conflictPause):
		}
	}
}

// conflictPause is how long a creation waits that another one is in the way of.
const conflictPause = 200 * time.Millisecond

// put sends all in one request, whose signature is of the sum: what arrives is whole.
func (b *bucket) put(ctx context.Context, name string, content io.ReadSeeker, bytes int64, sum string, options minio.PutObjectOptions) error {
	options.DisableContentSha256 = true // The sum is given.
	options.ContentType = "application/octet-stream"
	_, err := b.client.PutObject(ctx, b.location.Bucket, b.key(name), content, bytes, "", sum, options)
	return b.failed(ctx, "write", name, err)
}

func (b *bucket) List(ctx context.Context, dir, after string) ([]Object, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // It ends the listing where that is left.
	options := minio.ListObjectsOptions{Prefix: b.key(dir), Recursive: true}
	if after != "" {
		options.StartAfter = b.key(after)
	}
	var found []Object
	for one := range b.client.Client.ListObjects(ctx, b.location.Bucket, options) {
		if one.Err != nil {
			return nil, b.failed(ctx, "list", dir, one.Err)
		}
		found = append(found, Object{Name: strings.TrimPrefix(one.Key, b.key("")), Modified: one.LastModified})
	}
	if err := ctx.Err(); err != nil {
		return nil, b.failed(ctx, "list", dir, err)
	}
	slices.SortFunc(found, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

func (b *bucket) Remove(ctx context.Context, name string) error {
	return b.failed(ctx, "remove", name, b.client.RemoveObject(ctx, b.location.Bucket, b.key(name), minio.RemoveObjectOptions{}))
}

// needs are what a host must be allowed to do, by what it does.
var needs = map[string]string{"read": "s3:GetObject", "write": "s3:PutObject", "list": "s3:ListBucket", "remove": "s3:DeleteObject"}

// failed says why something cannot be done with an object, and what helps.
func (b *bucket) failed(ctx context.Context, doing, name string, err error) error {
	if err == nil {
		return nil
	}
	if failed, is := errors.AsType[*Error](err); is {
		return failed
	}
	final := func(text string, values ...any) error {
		return &Error{Text: fmt.Sprintf(text, values...), IsFinal: true, Cause: err}
	}
	at := cmp.Or(b.location.Endpoint, usualEndpoint)
	answer, answered := errors.AsType[minio.ErrorResponse](err)
	switch {
	case !answered && ctx.Err() != nil:
		return &Error{Text: fmt.Sprintf("%s does not answer in time", at), Cause: context.Cause(ctx)}
	case !answered:
		return &Error{Text: fmt.Sprintf("%s cannot be reached, or breaks off: %s", at, err), Cause: err}
	}
	switch answer.Code {
	case minio.NoSuchKey:
		return fs.ErrNotExist
	case minio.PreconditionFailed:
		return fs.ErrExist
	case minio.NoSuchBucket:
		return final("there is no bucket %q at %s: make it, or fix its name, the region or the endpoint in \"state\"", b.location.Bucket, at)
	case minio.AccessDenied:
		if value, credErr := b.client.GetCreds(); credErr == nil && value.AccessKeyID == "" {
			return final("there are no credentials for %s: give the host AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role", b)
		}
		return final("the credentials of this host are not allowed to %s %s (AccessDenied): allow them %s there", doing, b.Path(name), needs[doing])
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "InvalidClientTokenId":
		return final("%s refuses the credentials of this host (%s): give it valid ones in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role", at, answer.Code)
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return final("the bucket %q is in another region (%s): write that behind %s as ?region=…", b.location.Bucket, cmp.Or(answer.Region, "the answer does not say which"), b)
	case "RequestTimeTooSkewed":
		return final("the clock of this machine is too far from that of %s, which refuses its requests (RequestTimeTooSkewed): set it, by NTP for example", at)
	case "NotImplemented":
		return final("%s cannot do what hosts that share a state need (NotImplemented): use a store that has conditional writes", at)
	}
	return &Error{Text: fmt.Sprintf("%s answers %d (%s) when %s is to be %s", at, answer.StatusCode, answer.Code, b.Path(name), map[string]string{"read": "read", "write": "written", "list": "listed", "remove": "removed"}[doing]), Cause: err}
}
