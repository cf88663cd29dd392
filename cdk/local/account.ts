/**
 * Account and region of the local stack.
 * @module
 */
export const REGION = 'us-east-1'
export const ACCOUNT = '000000000000'
