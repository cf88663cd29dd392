/**
 * The account and region that the local stack pretends to be in.
 * @module
 */
export const REGION = 'us-east-1'
export const ACCOUNT = '000000000000'
