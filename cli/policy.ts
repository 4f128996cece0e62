import type { Config } from '../lib/config.ts'
import { RECORDS } from '../lib/cutout.ts'
import { deliveryPolicy, type Policy, resources, rolePolicy, uploadPolicy } from '../lib/policy.ts'

/**
 * What somebody may do and needs: the functions' role; whoever runs deploy, undeploy and doctor; whoever runs the other commands;
 * the user of DELIVERY_KEY; the user whose key signs the PUTs of `presignUpload`.
 */
export function policy(who: 'role' | 'deployer' | 'operator' | 'delivery' | 'uploader', config: Config): Policy {
  return {
    role: rolePolicy,
    deployer: deployerPolicy,
    operator: operatorPolicy,
    delivery: deliveryPolicy,
    uploader: uploadPolicy,
  }[who](config)
}

/** `cam:PassRole` lets the functions have the role. */
function deployerPolicy(config: Config): Policy {
  const { cos, ci } = resources(config.bucket, config)
  const account = (action: string[]): Policy['statement'][number] => ({ effect: 'allow', action, resource: ['*'] })
  return {
    version: '2.0',
    statement: [
      account([
        'cam:GetRole',
        'cam:CreateRole',
        'cam:UpdateAssumeRolePolicy',
        'cam:DeleteRole',
        'cam:PassRole',
        'cam:ListAttachedRolePolicies',
        'cam:AttachRolePolicy',
        'cam:DetachRolePolicy',
        'cam:ListPolicies',
        'cam:GetPolicy',
        'cam:CreatePolicy',
        'cam:UpdatePolicy',
        'cam:DeletePolicy',
      ]),
      account([
        'scf:ListFunctions',
        'scf:GetFunction',
        'scf:CreateFunction',
        'scf:UpdateFunctionCode',
        'scf:UpdateFunctionConfiguration',
        'scf:DeleteFunction',
        'scf:ListTriggers',
        'scf:CreateTrigger',
        'scf:UpdateTrigger',
        'scf:DeleteTrigger',
        'scf:GetFunctionEventInvokeConfig',
        'scf:UpdateFunctionEventInvokeConfig',
        'scf:GetReservedConcurrencyConfig',
        'scf:PutReservedConcurrencyConfig',
        'scf:DeleteReservedConcurrencyConfig',
        'scf:Invoke',
      ]),
      account([
        'cls:DescribeLogsets',
        'cls:CreateLogset',
        'cls:DescribeTopics',
        'cls:CreateTopic',
        'cls:DescribeIndex',
        'cls:CreateIndex',
      ]),
      {
        effect: 'allow',
        action: [
          'name/cos:GetBucket',
          'name/cos:GetBucketVersioning',
          'name/cos:GetBucketCORS',
          'name/cos:PutBucketCORS',
          'name/cos:GetBucketLifecycle',
          'name/cos:PutBucketLifecycle',
          'name/cos:GetBucketStrictSignature',
          'name/cos:PutBucketStrictSignature',
          'name/cos:GetObject',
          'name/cos:PutObject',
          'name/cos:DeleteObject',
        ],
        resource: [...new Set([cos('*'), resources(config.cutoutBucket, config).cos('*')])],
      },
      {
        effect: 'allow',
        action: ['ci:CreateCIBucket', 'ci:GetCIBucket', 'ci:CreateAIBucket', 'ci:DescribeAIBuckets'],
        resource: [ci('*')],
      },
    ],
  }
}

/** All that the role may do, for `backfill` does its work; what `gc` and `purge` delete; and the upload function is run by `replay`. */
function operatorPolicy(config: Config): Policy {
  const { statement, version } = rolePolicy(config)
  const store = resources(config.cutoutBucket, config)
  return {
    version,
    statement: [
      ...statement,
      {
        effect: 'allow',
        action: ['name/cos:DeleteObject'],
        resource: ['claims', 'tally', 'gone'].map((name) => store.cos(`${RECORDS}${name}/*`)),
      },
      {
        effect: 'allow',
        action: ['scf:ListFunctions', 'scf:GetFunction', 'scf:ListTriggers', 'scf:Invoke'],
        resource: ['*'],
      },
    ],
  }
}
